"""The report as one HTML page that needs nothing else: pictures inside, no script, light and dark, wide and narrow."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from nvlm.data.pages import open_template, png_uri
from nvlm.recipes.compare.charts import Line, line_chart
from nvlm.recipes.compare.markdown import headline, lead
from nvlm.recipes.compare.pools import ROWS
from nvlm.recipes.compare.report import Example, Report, VariantReport
from nvlm.recipes.compare.sections import NUMBERS, sections

COLOURS = ("c0", "c1", "c2", "c3", "c4", "c5")
WIDEST = 480
"""Pixels of a picture on the page."""


@dataclass(frozen=True)
class Curve:
    """A chart, what it shows, and the (colour, name) of its lines."""

    title: str
    svg: Markup
    names: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Mark:
    """A score on a strip from 0 to 100: where its point and its interval stand."""

    colour: str
    name: str
    left: float
    width: float
    point: float


@dataclass(frozen=True)
class Shown:
    """An example with its picture as a data URI."""

    example: Example
    source: str | None
    width: int
    height: int


def render_page(report: Report) -> str:
    """The page with all tables, curves and pictures."""
    return open_template(__package__, "compare.html.j2").render(
        title=headline(report),
        lead=lead(report),
        report=report,
        sections=sections(report),
        numbers=NUMBERS,
        strips={row: _marks(report, row) for row in ROWS},
        names=[(colour, each.name) for colour, each in zip(COLOURS, report.main, strict=False)],
        curves=_curves(report),
        shown=[_shown(example) for example in report.examples],
    )


def _marks(report: Report, row: str) -> list[Mark]:
    marks = []
    for colour, each in zip(COLOURS, report.main, strict=False):
        score = each.quality[row].score
        low, high, mean = (round(100 * value, 2) for value in (score.low, score.high, score.mean))
        marks.append(Mark(colour, each.name, low, round(high - low, 2), mean))
    return marks


def _curves(report: Report) -> list[Curve]:
    """One chart for each stage of the main variants, and one for the last stage of each one's ablations."""
    stages = list(dict.fromkeys(stage for each in report.main for stage in each.curves))
    found = [_curve(f"{stage}: {', '.join(_names(report.main))}", report.main, stage) for stage in stages]
    for base in report.main:
        family = [each for each in report.ablations if each.name.startswith(f"{base.name}-")]
        for first in range(0, len(family), len(COLOURS) - 1):
            group = [base, *family[first : first + len(COLOURS) - 1]]
            found.append(_curve(f"{stages[-1]}: {base.name} and its ablations", group, stages[-1]))
    return [each for each in found if each is not None]


def _curve(title: str, variants: Sequence[VariantReport], stage: str) -> Curve | None:
    coloured = [(colour, each) for colour, each in zip(COLOURS, variants, strict=False) if each.curves.get(stage)]
    lines = [Line(colour, points) for colour, each in coloured for points in each.curves[stage].values() if points]
    if not lines:
        return None
    said = ", ".join(
        f"{each.name} ends at " + " and ".join(f"{points[-1][1]:.2f}" for points in each.curves[stage].values())
        for _, each in coloured
    )
    return Curve(
        title, line_chart(lines, f"Loss of {title}: {said}"), tuple((colour, each.name) for colour, each in coloured)
    )


def _names(variants: Sequence[VariantReport]) -> list[str]:
    return [each.name for each in variants]


def _shown(example: Example) -> Shown:
    if example.image is None:
        return Shown(example, None, 0, 0)
    scale = min(2.0, WIDEST / max(example.image.size))
    width, height = (round(side * scale) for side in example.image.size)
    return Shown(example, png_uri(example.image), width, height)
