"""The report's tables, in the order in which page and Markdown show them."""

from collections.abc import Sequence
from dataclasses import dataclass

from nvlm.evaluation.published import MARK, published
from nvlm.recipes.compare import rules, wording
from nvlm.recipes.compare.evidence import Quality
from nvlm.recipes.compare.report import PUBLISHED, Report

NVLM = ("NVLM-D", "NVLM-X", "NVLM-H")
NUMBERS = "numbers here"
"""A column whose lines are all of one rank."""

Cells = Sequence[str]


@dataclass(frozen=True)
class Section:
    """A heading, what stands below it in words, and a table; a newline in a cell begins a lesser line."""

    id: str
    title: str
    note: str
    head: Cells
    rows: Sequence[Cells]


def sections(report: Report) -> list[Section]:
    """Every table that has something to show."""
    made = [
        _findings(report),
        _quality(report),
        _ablations(report),
        _text_change(report),
        _lengths(report),
        _speed(report),
        _parameters(report),
        _training(report),
        _answers(report),
        _tasks(report),
        *(_published(number) for number in PUBLISHED),
        _made(report),
    ]
    return [each for each in made if each.rows]


def _findings(report: Report) -> Section:
    head = ["the paper's finding", "here", NUMBERS, f"the paper's ({MARK})"]
    rows = []
    for each in report.findings:
        lines = "\n".join(f"{line.what}: {line.numbers}: {line.verdict}" for line in each.lines)
        claim = f"{each.claim}\n{each.note}" if each.note else each.claim
        rows.append([claim, each.verdict, lines, f"{each.source}\n{each.published}"])
    return Section("findings", "The paper's findings, and what is found here", rules.VERDICTS, head, rows)


def _quality(report: Report) -> Section:
    rows = [
        [row, *(_score(each.quality[row]) for each in report.main), _score(report.baseline.get(row))]
        for row in (report.main[0].quality if report.main else ())
    ]
    note = f"Per cent, {report.setting.questions} held-out questions a task. {rules.SCORES}"
    head = ["tasks", *(each.name for each in report.main), "bare language model"]
    return Section("quality", "Quality", note, head, rows)


def _score(found: Quality | None) -> str:
    return wording.NONE if found is None else wording.score(found)


def _ablations(report: Report) -> Section:
    rows = []
    for each in report.ablations:
        cells = [wording.points(each.over_base.get(pool)) for pool in ("text-rich", "pictures", "text-only")]
        rows.append([f"{each.name}\n{each.title}", *cells])
    note = f"Points against the same architecture unchanged. {rules.DIFFERENCES}"
    head = ["variant", "text-rich tasks", "all picture tasks", "text-only tasks"]
    return Section("ablations", "Ablations", note, head, rows)


def _text_change(report: Report) -> Section:
    rows = [
        [each.name, wording.points(found), found.change.verdict]
        for each in report.variants
        if (found := each.text_change) is not None
    ]
    title = "Text-only skill against the bare language model"
    return Section("text", title, rules.TEXT_CHANGE, ["variant", "points", "verdict"], rows)


def _lengths(report: Report) -> Section:
    shown = [each for each in report.variants if each.lengths]
    counts = [each.tiles for each in shown[0].lengths] if shown else []
    rows = [[each.name, *map(wording.length, each.lengths)] for each in shown]
    head = ["variant", *(f"{count} tile{'s' * (count > 1)}" for count in counts)]
    return Section("lengths", "What a picture costs", rules.LENGTHS, head, rows)


def _speed(report: Report) -> Section:
    rows = [
        [
            each.name,
            wording.rate(cost.samples_per_second),
            wording.milliseconds(cost.step),
            wording.milliseconds(cost.batch),
            wording.milliseconds(cost.first_token),
            wording.rate(cost.tokens_per_second),
            wording.mebibytes(cost.memory),
        ]
        for each in report.variants
        if (cost := each.cost) is not None
    ]
    head = ["variant", "samples/s", "ms a step", "ms a batch", "ms to the first token", "tokens/s", "memory"]
    return Section("speed", "Speed and memory", rules.SPEED.format(threads=report.setting.threads), head, rows)


def _parameters(report: Report) -> Section:
    rows = [
        [
            each.name,
            wording.parameters(each),
            "\n".join(wording.parts(each)),
            "\n".join(wording.gates(each)) or wording.NONE,
        ]
        for each in report.variants
    ]
    head = ["variant", "parameters", "by part (learning in SFT)", "tanh of the gates, by seed"]
    return Section("parameters", "Parameters and gates", rules.GATES, head, rows)


def _training(report: Report) -> Section:
    rows = []
    for each in report.variants:
        for stage, seeds in each.curves.items():
            last = ", ".join(f"{points[-1][1]:.3f}" for points in seeds.values() if points)
            rows.append([each.name, stage, last, wording.minutes(each.seconds.get(stage, 0))])
    head = ["variant", "stage", "last loss, by seed", "minutes, mean over seeds"]
    return Section("training", "Training", rules.CURVES, head, rows)


def _answers(report: Report) -> Section:
    rows = [
        [each.task, each.question, each.truth, *(f"{text}\n{score:g}" for text, score in each.answers.values())]
        for each in report.examples
    ]
    names = list(report.examples[0].answers) if report.examples else []
    return Section("answers", "Answers side by side", rules.EXAMPLES, ["task", "question", "truth", *names], rows)


def _tasks(report: Report) -> Section:
    tasks = list(report.main[0].tasks) if report.main else []
    rows = [[task, *(_score(each.tasks[task]) for each in report.main)] for task in tasks]
    return Section("tasks", "Every task", rules.SCORES, ["task", *(each.name for each in report.main)], rows)


def _published(number: str) -> Section:
    held = published(number)
    ours_first = sorted(held.rows, key=lambda row: not row.model.startswith(NVLM))
    rows = [
        [row.model, *(wording.published(row.values.get(name)) for name in held.columns), row.source]
        for row in ours_first
    ]
    title, note = f"The paper's table {number}", f"{held.title}: {MARK}."
    return Section(f"published-{number}", title, note, ["model", *held.columns, "source"], rows)


def _made(report: Report) -> Section:
    setting = report.setting
    note = f"Made by {setting.command} on {setting.machine}; {report.hours:.1f} hours of training. {rules.SEEDS}"
    return Section("made", "How this was made", note, ["stage", "what it does"], list(setting.stages))
