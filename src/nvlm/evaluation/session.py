"""A whole evaluation: several benchmarks, one model, perhaps its baseline, and the folder that holds all of it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nvlm.evaluation.intervals import MARGIN, Change, change, mean_score
from nvlm.evaluation.nano_suite import GROUPS
from nvlm.evaluation.outcome import Outcome
from nvlm.evaluation.ranks import ALONE, Ranks
from nvlm.evaluation.runner import Answerer, Job, run

RUN, SCORES, BASELINE = "run.json", "scores.json", "baseline"
SAMPLES, SAMPLE = 64, 4096
"""Pieces of a weights file, and bytes of each, by which a changed model is noticed."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Evaluation:
    """The outcomes of a model, those of its baseline on the text-only benchmarks, and the change between them."""

    outcomes: dict[str, Outcome]
    baseline: dict[str, Outcome]
    changes: dict[str, Change]


def evaluate(
    jobs: Sequence[Job],
    answerer: Answerer,
    *,
    baseline: Callable[[], Answerer] | None = None,
    batch: int = 16,
    folder: Path | None = None,
    ranks: Ranks = ALONE,
    say: Say = print,
) -> Evaluation:
    """Run every job, the text-only ones also with the baseline, which is loaded when it is its turn.

    Raises:
        ValueError: a baseline without a text-only benchmark to compare on, and whatever `run` raises.
    """
    texts = [job for job in jobs if job.benchmark.text_only]
    if baseline is not None and not texts:
        raise ValueError("--baseline is compared on text-only benchmarks, and there is none in the suite")
    outcomes = _run_all(jobs, answerer, batch, folder, ranks, say)
    if baseline is None:
        return Evaluation(outcomes, {}, {})
    if ranks.rank == 0:
        say("the baseline:")
    below = None if folder is None else folder / BASELINE
    bare = _run_all(texts, baseline(), batch, below, ranks, say)
    return Evaluation(outcomes, bare, changes(outcomes, bare))


def changes(outcomes: dict[str, Outcome], baseline: dict[str, Outcome]) -> dict[str, Change]:
    """The change of each text-only benchmark, and over all their questions."""
    both = {name for name, bare in baseline.items() if bare.scores and outcomes[name].scores}
    found = {name: change(outcomes[name].scores, baseline[name].scores) for name in baseline if name in both}
    if len(found) > 1:
        found["all text-only questions"] = change(
            {f"{name}/{id}": score for name in found for id, score in outcomes[name].scores.items()},
            {f"{name}/{id}": score for name in found for id, score in baseline[name].scores.items()},
        )
    return found


def _run_all(
    jobs: Sequence[Job], answerer: Answerer, batch: int, folder: Path | None, ranks: Ranks, say: Say
) -> dict[str, Outcome]:
    outcomes = {}
    for job in jobs:
        outcome = run(job, answerer, batch=batch, folder=folder, ranks=ranks)
        outcomes[job.benchmark.name] = outcome
        if ranks.rank == 0:
            for line in outcome_lines(outcome):
                say(line)
            if outcome.submission is not None:
                say(f"  to submit: {_submit(outcome, folder) if folder else 'give --out for the file'}")
    return outcomes


def outcome_lines(outcome: Outcome) -> list[str]:
    """A benchmark's score, those of its groups, and what went wrong."""
    name, split = outcome.job.benchmark.name, outcome.job.split
    title = f"{name} ({split})"
    unit = "" if outcome.job.benchmark.corpus else " %"
    if outcome.failed == outcome.asked:
        return [f"{title:34} none of {outcome.asked} questions could be asked: {outcome.fault}"]
    score = outcome.score.text(unit) if outcome.score else f"no references here, n = {outcome.asked}"
    lines = [f"{title:34} {score}"]
    if len(outcome.groups) > 1:
        lines += [f"  {group[:32]:32} {each.text(unit)}" for group, each in sorted(outcome.groups.items())]
    lines += [f"  {rule[:32]:32} {each.text(unit)}" for rule, each in outcome.beside.items()]
    if outcome.job.benchmark.choices and (written := outcome.asked - outcome.failed - outcome.chosen):
        lines.append(f"  {written} of {outcome.asked} answers were written: their model does not tell likelihoods")
    if outcome.unread:
        lines.append(f"  {outcome.unread} of {outcome.asked} answers could not be read")
    if outcome.failed:
        lines.append(f"  {outcome.failed} of {outcome.asked} questions could not be asked and score 0: {outcome.fault}")
    return lines


def summary(evaluation: Evaluation) -> list[str]:
    """What is said at the end: the rows of the nano suite's table, the changes, and how the intervals were found."""
    lines = [""]
    for group, tasks in GROUPS.items():
        if all(task in evaluation.outcomes and evaluation.outcomes[task].scores for task in tasks):
            pooled = [score for task in tasks for score in evaluation.outcomes[task].scores.values()]
            lines.append(f"  {group:62} {mean_score(pooled)}")
    lines += [f"  {name:30} against the baseline: {each}" for name, each in evaluation.changes.items()]
    if evaluation.changes:
        lines.append(f"  (kept: the change is within {100 * MARGIN:.0f} points either way)")
    return [
        *lines,
        "95 % intervals: Wilson's for right-or-wrong scores, a bootstrap's for others; Agresti and Min's for changes",
    ]


def _submit(outcome: Outcome, folder: Path) -> Path:
    path = folder / f"{outcome.job.benchmark.name}-{outcome.job.split}-submission.json"
    path.write_text(json.dumps(outcome.submission, ensure_ascii=False), encoding="utf-8")
    return path


def write_scores(
    evaluation: Evaluation, folder: Path, left_out: Mapping[str, Exception] = MappingProxyType({})
) -> Path:
    """Write ``scores.json``: every score with its interval, and where it comes from; what was left out, and why."""
    listed: dict[str, Any] = {
        "benchmarks": {name: _listed(outcome) for name, outcome in evaluation.outcomes.items()},
        "baseline": {name: _listed(outcome) for name, outcome in evaluation.baseline.items()},
        "changes": {name: asdict(each) for name, each in evaluation.changes.items()},
        "left out": {name: str(error) for name, error in left_out.items()},
    }
    path = folder / SCORES
    path.write_text(json.dumps(listed, indent=1, ensure_ascii=False), encoding="utf-8")
    return path


def _listed(outcome: Outcome) -> dict[str, Any]:
    benchmark = outcome.job.benchmark
    return {
        "split": outcome.job.split,
        "score": None if outcome.score is None else asdict(outcome.score),
        "groups": {group: asdict(score) for group, score in outcome.groups.items()},
        "beside": {rule: asdict(score) for rule, score in outcome.beside.items()},
        "prompt": benchmark.prompt,
        "decoding": benchmark.decoding,
        "extraction": benchmark.extraction,
        "metric": benchmark.metric,
        "asked": outcome.asked,
        "unread": outcome.unread,
        "failed": outcome.failed,
        "fault": outcome.fault,
        "by likelihood": outcome.chosen,
        "tokens": outcome.tokens,
        "seconds": round(outcome.seconds, 3),
        "origin": benchmark.origin,
        "licence": benchmark.licence,
        "citation": benchmark.citation,
    }


def claim(folder: Path, what: dict[str, str]) -> None:
    """Take a folder for a run, or find it taken by the same run.

    Args:
        what: the model, the suite and whatever else decides the answers.

    Raises:
        ValueError: it is a file, holds something else, or the answers of another run.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--out {folder} is a file; the answers and scores go into a folder")
    note = folder / RUN
    if note.exists():
        found = json.loads(note.read_text(encoding="utf-8"))
        for name in [*what, *(set(found) - set(what))]:
            if found.get(name) != what.get(name):
                raise ValueError(
                    f"{folder} holds answers of another run: its {name} is {found.get(name)}, not {what.get(name)}; "
                    "choose another --out"
                )
        return
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty and holds no run of `nvlm eval`; choose another --out")
    folder.mkdir(parents=True, exist_ok=True)
    beside = note.with_suffix(".part")
    beside.write_text(json.dumps(what, indent=1), encoding="utf-8")
    beside.replace(note)


def fingerprint(folder: Path) -> str:
    """A short name of what a model's folder holds: its configuration, and samples of its weights."""
    digest = blake2b(digest_size=8)
    for path in sorted([*folder.glob("*.json"), *folder.glob("*.safetensors")]):
        size = path.stat().st_size
        digest.update(f"{path.name} {size}\n".encode())
        with path.open("rb") as file:
            for piece in range(SAMPLES):
                file.seek(piece * size // SAMPLES)
                digest.update(file.read(SAMPLE))
    return digest.hexdigest()
