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
HEIGHT = 5
MOST = 4
"""Curves that are shown, the first of `curves`."""


def watch(folder: Path, *, once: bool = False, every: float = 2.0, console: Console | None = None) -> None:
    """Draw loss, gradient norm and speed of the run in ``folder``, anew every so many seconds, until Ctrl-C.

    Args:
        folder: of a stage, or one above it: the stage that was written last is shown.
        once: draw and return.
        console: where to.

    Raises:
        FileNotFoundError: there is no log in ``folder``.
    """
    console = console or Console()
    if once:
        console.print(picture(folder, console.width))
        return
    with Live(picture(folder, console.width), console=console, auto_refresh=False) as live:
        while True:
            time.sleep(every)
            live.update(picture(folder, console.width), refresh=True)


def picture(folder: Path, width: int) -> RenderableType:
    """The curves that are drawn, so many characters wide."""
    log = log_of(folder)
    drawn = curves(rows(log))
    if not drawn:
        return Text(f"{log}: no step yet")
    step = max(curve[-1][0] for curve in drawn.values())
    parts: list[RenderableType] = [Text(f"{log.parent}  step {step + 1}", style="bold")]
    for title, curve in list(drawn.items())[:MOST]:
        values = [value for _, value in curve]
        told = f"{title}  {values[-1]:.4g} (from {values[0]:.4g}; {min(values):.4g} to {max(values):.4g})"
        parts += [Text(told, style="cyan"), Text("\n".join(chart(curve, width - 1)))]
    return Group(*parts)


def chart(curve: Curve, width: int, height: int = HEIGHT) -> list[str]:
    """A curve as lines of blocks; every column is the mean of its share of the points.

    >>> chart([(0, 0.0), (1, 8.0), (2, 16.0)], width=3, height=2)
    ['  █', '▁██']
    """
    columns = _columns([value for _, value in curve], width)
    low, high = min(columns), max(columns)
    top = 8 * height
    heights = [max(1, round((value - low) / (high - low or 1.0) * top)) for value in columns]
    return ["".join(LEVELS[min(8, max(0, each - 8 * line))] for each in heights) for line in reversed(range(height))]


def _columns(values: Sequence[float], width: int) -> list[float]:
    count = min(width, len(values))
    edges = [round(number * len(values) / count) for number in range(count + 1)]
    return [sum(values[first:last]) / (last - first) for first, last in pairwise(edges)]
