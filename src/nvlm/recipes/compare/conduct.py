"""A comparison from beginning to end, in any number of pieces: announce, make, measure, report."""

from collections.abc import Callable
from pathlib import Path

from nvlm.recipes.compare.backbones import COMPARED, identity, open_backbones, share
from nvlm.recipes.compare.estimate import announce, remaining
from nvlm.recipes.compare.examples import examples
from nvlm.recipes.compare.lengths import lengths_of
from nvlm.recipes.compare.make import answer_baseline, by_question, evidence_of, make, scores_in
from nvlm.recipes.compare.markdown import render_markdown
from nvlm.recipes.compare.measure import ROUNDS, machine
from nvlm.recipes.compare.page import render_page
from nvlm.recipes.compare.report import Measured, Report, Setting, build_report, write_json, write_whole
from nvlm.recipes.compare.speeds import measure_speeds, measured_speeds
from nvlm.recipes.compare.study import Study
from nvlm.recipes.compare.variants import MAIN, find_variant
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
    backbones = open_backbones(study.backbones)
    study.claim(identity(backbones), only_look=dry_run)
    paces = announce(study, backbones, say)
    if dry_run:
        return None
    answer_baseline(study.folder / BASELINE, backbones.language_folder, study.questions)
    if left := study.left():
        shared = share(study.recipe, backbones, study.pictures, say)
        for planned in left:
            say(f"{planned.title}:")
            make(planned, shared, study.questions)
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
    shown = {name: runs[name][0].answers for name in study.names if name in MAIN and runs[name]}
    machines = dict.fromkeys(run.machine for each in runs.values() for run in each) or (machine(),)
    measured = Measured(
        runs,
        baseline=by_question(scores_in(study.folder / BASELINE, study.questions), study.questions),
        speeds=speeds,
        lengths={name: lengths_of(find_variant(name)) for name in study.names},
        examples=examples(shown),
    )
    setting = Setting(
        recipe="the nano family",
        command=command,
        machine="; and ".join(machines),
        stages=[(name, _said(getattr(study.recipe, name))) for name in COMPARED],
        questions=study.questions,
        threads=with_threads,
    )
    return build_report(setting, measured, [each.title for each in left])


def _said(stage: Stage) -> str:
    trained = ", ".join(stage.trainable)
    return f"{stage.steps:,} steps of {stage.batch} rows; peak rate {stage.peak_lr:g}; trains {trained}"
