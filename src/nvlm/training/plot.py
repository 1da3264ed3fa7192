"""The curves of a run as a picture in its folder, where matplotlib is installed (the extra ``plots``)."""

import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from nvlm.training.curves import Curve, curves, log_of, rows

PICTURE = "curves.png"
COLUMNS, WIDTH, HEIGHT = 3, 4.2, 2.4
"""Panels beside each other, and the inches of one."""


def draw(folder: Path) -> Path | None:
    """Draw ``curves.png``, a panel for every kind of number in the log; its path, or None without matplotlib or steps.

    Curves whose titles begin alike, the gates say, share a panel.
    """
    if find_spec("matplotlib") is None:
        _say_once()
        return None
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    panels = _panels(curves(rows(log_of(folder))))
    if not panels:
        return None
    lines = max(1, -(-len(panels) // COLUMNS))
    figure = Figure(figsize=(COLUMNS * WIDTH, lines * HEIGHT), layout="constrained")
    FigureCanvasAgg(figure)
    for number, (title, members) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(lines, COLUMNS, number, title=title)
        for name, curve in members.items():
            axes.plot(*zip(*curve, strict=True), linewidth=1, label=name or "all")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        if len(members) > 1:
            axes.legend(fontsize="x-small")
    beside = folder / f"{PICTURE}.part"
    figure.savefig(beside, format="png", dpi=110)
    beside.replace(folder / PICTURE)
    return folder / PICTURE


def _panels(drawn: dict[str, Curve]) -> dict[str, dict[str, Curve]]:
    panels: dict[str, dict[str, Curve]] = {}
    for title, curve in drawn.items():
        head, _, member = title.partition(", ")
        panels.setdefault(head, {})[member] = curve
    return panels


@cache
def _say_once() -> None:
    print(f"no {PICTURE}: matplotlib is not installed (pip install 'nvlm[plots]')", file=sys.stderr)
