"""A comparison from beginning to end, in any number of pieces: announce, make, measure, report."""

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch

from nvlm.recipes.compare.backbones import open_backbones
from nvlm.recipes.compare.estimate import announce, remaining
from nvlm.recipes.compare.examples import examples
from nvlm.recipes.compare.lengths import lengths_of
from nvlm.recipes.compare.make import ANSWERS, answer_baseline, evidence_of, make, scores_in
from nvlm.recipes.compare.markdown import render_markdown
from nvlm.recipes.compare.measure import ROUNDS, threads
from nvlm.recipes.compare.page import render_page
from nvlm.recipes.compare.report import Measured, Report, Setting, build_report, write_json, write_whole
from nvlm.recipes.compare.speeds import measure_speeds, measured_speeds
from nvlm.recipes.compare.study import Study
from nvlm.recipes.compare.variants import MAIN, find_variant
from nvlm.recipes.nano.pictures import weights_hash
from nvlm.training.stages import Stage

PAGE, MARKDOWN, RESULTS, BASELINE = "compare.html", "compare.md", "compare.json", "baseline"


def conduct(
    study: Study, command: str, say: Callable[[str], None] = print, *, dry_run: bool = False, rounds: int = ROUNDS
) -> Path | None:
    """Do what is left of a comparison; where its page is.

    The report is written after every model, from what there is by then.

    Args:
        command: as it stands in the report.
        dry_run: only say what is to be done and how long it takes; nothing is trained or written.
        rounds: of measuring speed.

    Raises:
        ValueError, FileNotFoundError: no finished backbones, or a folder with another comparison.
        nvlm.training.loop.Interrupted: it was stopped, and saved.
    """
    began = time.monotonic()
    backbones = open_backbones(study.recipe, study.backbones, say)
    opening = time.monotonic() - began
    identity = {"encoder": weights_hash(backbones.encoder), "language": weights_hash(backbones.language)}
    study.claim(identity, only_look=dry_run)
    paces = announce(study, backbones, opening, say)
    if dry_run:
        return None
    answer_baseline(study.folder / BASELINE, backbones.baseline, study.questions)
    for planned in study.left():
        make(planned, backbones, study.questions)
        write_report(study, command)
        say(f"finished {planned.title}; {remaining(study, paces)}")
    measure_speeds(study, backbones, say, rounds)
    return write_report(study, command)


def write_report(study: Study, command: str) -> Path:
    """Write page, Markdown and JSON of what there is; the page's path."""
    report = report_of(study, command)
    page = study.folder / PAGE
    write_whole(page, render_page(report))
    write_whole(study.folder / MARKDOWN, render_markdown(report))
    write_json(report, study.folder / RESULTS)
    return page


def report_of(study: Study, command: str) -> Report:
    """The report of what there is."""
    left = study.left()
    done = [each for each in study.planned() if each not in left]
    runs = {name: [evidence_of(each, study.questions) for each in done if each.name == name] for name in study.names}
    speeds, with_threads = measured_speeds(study)
    shown = {each.name: each.folder / ANSWERS for each in done if each.name in MAIN and each.variant.seed == 0}
    measured = Measured(
        runs,
        baseline=scores_in(study.folder / BASELINE, study.questions),
        speeds=speeds,
        lengths={name: lengths_of(find_variant(name)) for name in study.names},
        examples=examples(shown),
    )
    setting = Setting(
        recipe="the nano family",
        command=command,
        machine=machine(),
        stages=[(name, _said(getattr(study.recipe, name))) for name in ("align", "pretrain", "sft")],
        questions=study.questions,
        threads=with_threads,
    )
    return build_report(setting, measured, [each.title for each in left])


def machine() -> str:
    """What kind of machine this is."""
    cores = f"{os.cpu_count()} CPU cores ({platform.machine()}, {torch.backends.cpu.get_cpu_capability()})"
    return f"{cores}, {threads()}, Python {platform.python_version()}, torch {torch.__version__}"


def _said(stage: Stage) -> str:
    trained = ", ".join(stage.trainable)
    return f"{stage.steps:,} steps of {stage.batch} rows; peak rate {stage.peak_lr:g}; trains {trained}"
