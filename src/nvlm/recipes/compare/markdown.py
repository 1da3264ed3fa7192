"""The report as Markdown: the page's tables without its pictures and curves."""

from collections.abc import Iterable, Sequence

from nvlm.recipes.compare.report import Report
from nvlm.recipes.compare.sections import sections


def render_markdown(report: Report) -> str:
    """Every table of the page."""
    parts = [f"# {headline(report)}", lead(report)]
    if report.missing:
        parts.append(f"**Not trained yet:** {', '.join(report.missing)}.")
    for section in sections(report):
        parts += [f"## {section.title}", section.note, table(section.head, section.rows)]
    return "\n\n".join(parts) + "\n"


def headline(report: Report) -> str:
    """What is compared."""
    return f"{', '.join(each.name.upper() for each in report.main)} compared: {report.setting.recipe}"


def lead(report: Report) -> str:
    """What was done, in a sentence."""
    runs = sum(len(each.seeds) for each in report.variants)
    return (
        f"{runs} models of {len(report.variants)} variants on the same backbones, trained on the same samples in the "
        f"same order and asked the same {report.setting.questions} held-out questions a task."
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; what stands in a cell keeps to it.

    >>> print(table(["a", "b"], [["1|2", "x"]]))
    | a | b |
    | --- | --- |
    | 1\\|2 | x |
    """
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", "<br>") or " "
