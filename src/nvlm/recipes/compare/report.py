"""The report of a comparison as data: page, Markdown and JSON say the same."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from nvlm.evaluation.published import MARK, published
from nvlm.recipes.compare.evidence import Difference, Evidence, Quality, Scores, against_baseline, difference, quality
from nvlm.recipes.compare.findings import Finding, Found, findings
from nvlm.recipes.compare.pools import PICTURES, ROWS, TEXT_ONLY, TEXT_RICH
from nvlm.recipes.compare.timing import Median, median_of
from nvlm.recipes.compare.variants import base_of, in_order, title_of

PUBLISHED = ("3", "7", "8")
"""The paper's tables that stand beside as a whole."""


@dataclass(frozen=True)
class Length:
    """What one picture of so many tiles costs: image tokens in the sequence and in memory, and the whole prompt."""

    tiles: int
    in_sequence: int
    in_memory: int
    decoder: int


@dataclass(frozen=True)
class Speed:
    """Times of one variant, measured in turns with the others: place for place the same round.

    Attributes:
        steps, batches: seconds of a training step of SFT, and of making its batch.
        rows: samples in a step.
        first_token: seconds from picture and question to the first token.
        token: seconds of each further token.
        memory: peak MiB of a training process, None where it cannot be told.
    """

    steps: Sequence[float]
    batches: Sequence[float]
    rows: int
    first_token: Sequence[float]
    token: Sequence[float]
    memory: float | None = None


@dataclass(frozen=True)
class Cost:
    """What `Speed` comes to."""

    step: Median
    batch: Median
    samples_per_second: Median
    first_token: Median
    tokens_per_second: Median
    memory: float | None


@dataclass(frozen=True)
class VariantReport:
    """Everything about one variant.

    Attributes:
        name, title, seeds: which one, in words, and with which seeds it was trained.
        quality: by row of the table, and by single task.
        text_change: of text-only skill, against the bare language model.
        over_base: an ablation's difference to its architecture's own run, by pool.
        lengths: by tile count.
        parameters: by part, (all, learning in SFT).
        gates, curves: by seed: tanh of each gate; by stage and seed: (step, loss).
        seconds: of training by stage, the mean over seeds.
        cost: None where it was not measured.
    """

    name: str
    title: str
    seeds: tuple[int, ...]
    quality: Mapping[str, Quality]
    tasks: Mapping[str, Quality]
    text_change: Difference | None
    over_base: Mapping[str, Difference]
    lengths: tuple[Length, ...]
    parameters: Mapping[str, tuple[int, int]]
    gates: Mapping[int, Sequence[tuple[str, float]]]
    curves: Mapping[str, Mapping[int, Sequence[tuple[int, float]]]]
    seconds: Mapping[str, float]
    cost: Cost | None


@dataclass(frozen=True)
class Example:
    """One question with the answers of several variants, (text, score) by name."""

    task: str
    question: str
    truth: str
    image: Image.Image | None
    answers: Mapping[str, tuple[str, float]]


@dataclass(frozen=True)
class Setting:
    """How a comparison was made, in words: nothing here is measured."""

    recipe: str
    command: str
    machine: str
    stages: Sequence[tuple[str, str]]
    questions: int
    threads: str


@dataclass(frozen=True)
class Report:
    """A whole comparison; ``missing`` lists what is planned and not trained yet."""

    setting: Setting
    variants: tuple[VariantReport, ...]
    baseline: Mapping[str, Quality]
    findings: tuple[Finding, ...]
    examples: tuple[Example, ...]
    missing: tuple[str, ...] = ()

    @property
    def main(self) -> tuple[VariantReport, ...]:
        """The variants without changes: D, X and H."""
        return tuple(each for each in self.variants if each.name == base_of(each.name))

    @property
    def ablations(self) -> tuple[VariantReport, ...]:
        """The others."""
        return tuple(each for each in self.variants if each.name != base_of(each.name))

    @property
    def hours(self) -> float:
        """All training, in hours."""
        return sum(len(each.seeds) * sum(each.seconds.values()) for each in self.variants) / 3600


@dataclass(frozen=True)
class Measured:
    """What a comparison has measured so far: a report is made of nothing else."""

    runs: Mapping[str, Sequence[Evidence]]
    baseline: Mapping[str, Scores] = field(default_factory=dict)
    speeds: Mapping[str, Speed] = field(default_factory=dict)
    lengths: Mapping[str, tuple[Length, ...]] = field(default_factory=dict)
    examples: Sequence[Example] = ()


def build_report(setting: Setting, measured: Measured, missing: Sequence[str] = ()) -> Report:
    """Everything that can be said of what was measured."""
    runs = {name: measured.runs[name] for name in in_order([name for name in measured.runs if measured.runs[name]])}
    steps = {name: speed.steps for name, speed in measured.speeds.items()}
    bare = [Evidence("baseline", 0, measured.baseline)]
    return Report(
        setting,
        variants=tuple(_variant(name, runs, measured) for name in runs),
        baseline={row: quality(bare, tasks) for row, tasks in ROWS.items() if set(tasks) <= set(measured.baseline)},
        findings=tuple(findings(Found(runs, measured.baseline, steps))),
        examples=tuple(measured.examples),
        missing=tuple(missing),
    )


def write_json(report: Report, path: Path) -> None:
    """Everything in the report but the pictures, and the paper's tables; complete or not at all."""
    held: dict[str, Any] = asdict(
        Report(report.setting, report.variants, report.baseline, report.findings, (), report.missing)
    )
    for row, finding in zip(held["findings"], report.findings, strict=True):
        row["verdict"] = finding.verdict
    held["examples"] = [
        {"task": each.task, "question": each.question, "truth": each.truth, "answers": dict(each.answers)}
        for each in report.examples
    ]
    held["published"] = {"mark": MARK, "tables": {number: asdict(published(number)) for number in PUBLISHED}}
    write_whole(path, json.dumps(held, indent=1, ensure_ascii=False) + "\n")


def write_whole(path: Path, text: str) -> None:
    """Write a file beside its place, then put it there."""
    beside = path.with_name(path.name + ".part")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def _variant(name: str, runs: Mapping[str, Sequence[Evidence]], measured: Measured) -> VariantReport:
    own, base = runs[name], runs.get(base_of(name), ())
    pools = {"text-rich": TEXT_RICH, "pictures": PICTURES, "text-only": TEXT_ONLY}
    over = {} if name == base_of(name) else {pool: difference(own, base, tasks) for pool, tasks in pools.items()}
    stages = list(own[0].curves)
    return VariantReport(
        name,
        title_of(name),
        seeds=tuple(run.seed for run in own),
        quality={row: quality(own, tasks) for row, tasks in ROWS.items()},
        tasks={task: quality(own, (task,)) for task in (*TEXT_ONLY, *PICTURES)},
        text_change=against_baseline(own, measured.baseline, TEXT_ONLY) if measured.baseline else None,
        over_base={pool: each for pool, each in over.items() if each is not None},
        lengths=measured.lengths.get(name, ()),
        parameters=own[0].parameters,
        gates={run.seed: run.gates for run in own if run.gates},
        curves={stage: {run.seed: run.curves[stage] for run in own if stage in run.curves} for stage in stages},
        seconds={stage: sum(run.seconds[stage] for run in own) / len(own) for stage in own[0].seconds},
        cost=_cost(measured.speeds[name]) if name in measured.speeds else None,
    )


def _cost(speed: Speed) -> Cost:
    return Cost(
        step=median_of(speed.steps),
        batch=median_of(speed.batches),
        samples_per_second=median_of([speed.rows / seconds for seconds in speed.steps]),
        first_token=median_of(speed.first_token),
        tokens_per_second=median_of([1 / seconds for seconds in speed.token]),
        memory=speed.memory,
    )
