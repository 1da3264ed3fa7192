"""The curves of a run in the terminal, followed while it goes on."""

import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from nvlm.training.curves import Curve, curves, log_of, rows

LEVELS = " ▁▂▃▄▅▆▇█"
LOWEST, HIGHEST = 2, 6
"""Lines of a curve: as many as the terminal has room for, between these."""
MOST = 4
"""Curves that are shown, the first of `curves`."""


def watch(folder: Path, console: Console, *, once: bool = False, every: float = 2.0) -> None:
    """Draw loss, gradient norm and speed of the run in ``folder``, anew every so many seconds, until Ctrl-C.

    Args:
        folder: of a stage, or one above it: the stage that was written last is shown.
        console: where to.
        once: draw and return.

    Raises:
        FileNotFoundError: there is no log in ``folder``.
    """
    if once:
        console.print(picture(folder, console.width))
        return
    with Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(picture(folder, console.width, _lines(console.height)), refresh=True)
            time.sleep(every)


def picture(folder: Path, width: int, height: int = HIGHEST) -> RenderableType:
    """The curves that are drawn, so many characters wide, and each so many lines high."""
    log = log_of(folder)
    drawn = curves(rows(log))
    if not drawn:
        return _line(f"no step yet: {log}")
    step = max(curve[-1][0] for curve in drawn.values())
    parts: list[RenderableType] = [_line(f"step {step + 1:,}  {log.parent}", "bold")]
    for title, curve in list(drawn.items())[:MOST]:
        values = [value for _, value in curve]
        told = f"{title}  {values[-1]:.4g} (from {values[0]:.4g}; {min(values):.4g} to {max(values):.4g})"
        parts += [_line(told, "cyan"), Text("\n".join(chart(curve, width - 1, height)))]
    return Group(*parts)


def chart(curve: Curve, width: int, height: int) -> list[str]:
    """A curve as lines of blocks; every column is the mean of its share of the points.

    >>> chart([(0, 0.0), (1, 8.0), (2, 16.0)], width=3, height=2)
    ['  █', '▁██']
    """
    columns = _columns([value for _, value in curve], width)
    low, high = min(columns), max(columns)
    top = 8 * height
    heights = [max(1, round((value - low) / (high - low or 1.0) * top)) for value in columns]
    return ["".join(LEVELS[min(8, max(0, each - 8 * line))] for each in heights) for line in reversed(range(height))]


def _line(text: str, style: str = "") -> Text:
    """Text that is cut, not wrapped, where the terminal is too narrow: the height stays the same."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _columns(values: Sequence[float], width: int) -> list[float]:
    count = min(width, len(values))
    edges = [round(number * len(values) / count) for number in range(count + 1)]
    return [sum(values[first:last]) / (last - first) for first, last in pairwise(edges)]


def _lines(height: int) -> int:
    """Lines of a curve on a terminal of so many, with its title and the run's."""
    return min(HIGHEST, max(LOWEST, (height - 2) // MOST - 1))
