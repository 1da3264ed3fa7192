"""Training curves as inline SVG: no script, colours from the page's style, readable at a phone's width."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

WIDTH, HEIGHT = 400, 266
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 26, 34
TICKS = 4


@dataclass(frozen=True)
class Line:
    """One curve: the class that colours it, and its (x, y) points."""

    colour: str
    points: Sequence[tuple[float, float]]


def line_chart(lines: Sequence[Line], said: str, x_name: str = "step", y_name: str = "loss") -> Markup:
    """Curves over a common pair of axes that begin at 0.

    Args:
        said: the picture in words, for those who cannot see it.

    Raises:
        ValueError: there is nothing to draw.
    """
    points = [point for line in lines for point in line.points]
    if not points:
        raise ValueError("a chart needs at least one point, and there is none")
    right, top = (_round_up(max(place[axis] for place in points)) for axis in (0, 1))
    drawn = [*_grid(right, top), *_names(x_name, y_name), *(_path(line, right, top) for line in lines)]
    svg = f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{Markup.escape(said)}">'
    return Markup(svg + "".join(drawn) + "</svg>")


def _grid(right: float, top: float) -> list[str]:
    drawn = []
    for tick in range(TICKS + 1):
        x, y = _place(right * tick / TICKS, top * tick / TICKS, right, top)
        anchor = "end" if tick == TICKS else "middle" if tick else "start"
        drawn.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        drawn.append(f'<text x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{_number(top * tick / TICKS)}</text>')
        number = f"{right * tick / TICKS:,.0f}"
        drawn.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 15}" text-anchor="{anchor}">{number}</text>')
    return drawn


def _names(x_name: str, y_name: str) -> list[str]:
    """What the axes show: below the one, above the other."""
    across, up = Markup.escape(x_name), Markup.escape(y_name)
    return [
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 4}" text-anchor="middle">{across}</text>',
        f'<text x="{LEFT - 5}" y="11" text-anchor="end">{up}</text>',
    ]


def _number(value: float) -> str:
    """At most six signs, which is what stands left of the axis.

    >>> _number(0.08), _number(2.4), _number(1600.0)
    ('0.08', '2.4', '1,600')
    """
    return f"{value:,.0f}" if 100 <= value < 1e5 else f"{value:.3g}"


def _path(line: Line, right: float, top: float) -> str:
    places = (_place(x, y, right, top) for x, y in line.points)
    return f'<polyline class="{line.colour}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}"/>'


def _place(x: float, y: float, right: float, top: float) -> tuple[float, float]:
    across, up = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    return LEFT + across * x / right, TOP + up * (1 - y / top)


def _round_up(value: float) -> float:
    """The next number that four ticks divide well.

    >>> _round_up(3.1), _round_up(1500), _round_up(0.07)
    (3.2, 1600.0, 0.08)
    """
    size = 1.0
    while size * 8 < value:
        size *= 10
    while size > value:
        size /= 10
    return next(round(size * step, 12) for step in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10) if size * step >= value)
