"""Tables and charts of labelled values (paper tables 4 and 6: chart, table), with the questions of ``listing``."""

import random

from nvlm.data.synthetic.canvas import COLOURS, GRIDS, Canvas, draw_layout
from nvlm.data.synthetic.listing import Listing, draw_listing
from nvlm.data.synthetic.problem import Problem
from nvlm.data.synthetic.splits import Split

HEADERS = (("Item", "Count"), ("Name", "Points"), ("Item", "Price"), ("Name", "Value"), ("Month", "Rank"))
LINE_HEIGHT = 1.35


def table(rng: random.Random, split: Split) -> Problem:
    """A table of two columns, with or without a header, rules and shading."""
    grids = tuple(grid for grid in GRIDS if grid[0] in (2, 3, 4))
    layout = draw_layout(rng, split, "table", grids, (11, 15), ("plain", "ruled", "boxed", "shaded"))
    canvas = Canvas.random(rng, layout)
    step = layout.size * LINE_HEIGHT
    fitting = int((layout.height - 4) / step)
    header = rng.choice(HEADERS) if fitting > 3 and rng.random() < 0.5 else None
    most = min(6, fitting - (header is not None))
    listing = _fitting(rng, split, canvas, most, room=layout.width - 8, header=header)
    draw_table(rng, canvas, listing, header)
    asked = listing.turns(rng, "table", rng.randint(1, 4))
    return Problem(asked, canvas.finish(), listing.others(rng, "table", asked))


def draw_table(rng: random.Random, canvas: Canvas, listing: Listing, header: tuple[str, str] | None) -> None:
    """Draw ``listing`` as a two-column table in the style of the canvas's layout."""
    layout = canvas.layout
    step = layout.size * LINE_HEIGHT
    lines = [*([header] if header else []), *((label, str(value)) for label, value in listing.rows)]
    first = max(canvas.text_width(label) for label, _ in lines)
    second = max(canvas.text_width(value) for _, value in lines)
    gap = rng.uniform(8, max(8.01, min(40, layout.width - first - second - 8)))
    left = rng.uniform(2, max(2.01, layout.width - first - gap - second - 4))
    top = rng.uniform(1, max(1.01, layout.height - step * len(lines) - 1))
    right, align_right = left + first + gap + second, rng.random() < 0.5
    for place, (label, value) in enumerate(lines):
        y = top + place * step
        if layout.style == "shaded" and place % 2:
            canvas.box((left - 2, y, right + 2, y + step), fill=tuple(max(0, c - 22) for c in canvas.background))  # type: ignore[arg-type]
        canvas.text(left, y, label)
        canvas.text(right - canvas.text_width(value) if align_right else left + first + gap, y, value)
        if layout.style in ("ruled", "boxed") and place:
            canvas.line(left - 2, y, right + 2, y)
    if layout.style == "boxed":
        canvas.box((left - 2, top, right + 2, top + step * len(lines)), outline=canvas.ink)
        canvas.line(left + first + gap / 2, top, left + first + gap / 2, top + step * len(lines))


def chart(rng: random.Random, split: Split) -> Problem:
    """A bar chart with its values written at the bars: lying bars, or standing ones where the labels are short."""
    grids = tuple(grid for grid in GRIDS if grid in ((2, 1), (2, 2), (3, 1), (3, 2), (2, 3), (4, 1)))
    layout = draw_layout(rng, split, "chart", grids, (11, 14), ("lying", "standing", "dots"))
    canvas = Canvas.random(rng, layout)
    if layout.style == "standing":
        listing = _fitting(rng, split, canvas, max(2, layout.width // 48), room=46, label_only=True)
        draw_standing_bars(rng, canvas, listing)
    else:
        count = min(6, int((layout.height - 4) / (layout.size * LINE_HEIGHT)))
        listing = _fitting(rng, split, canvas, count, room=layout.width - 36)
        draw_lying_bars(rng, canvas, listing)
    asked = listing.turns(rng, "chart", rng.randint(1, 4))
    return Problem(asked, canvas.finish(), listing.others(rng, "chart", asked))


def draw_lying_bars(rng: random.Random, canvas: Canvas, listing: Listing) -> None:
    """Labels on the left, bars (or dots) to the right with the value at their end."""
    layout = canvas.layout
    step = (layout.height - 4) / len(listing.rows)
    labels_width = max(canvas.text_width(label) for label, _ in listing.rows)
    values_width = max(canvas.text_width(str(value)) for _, value in listing.rows)
    start = labels_width + 6
    room = layout.width - start - values_width - 6
    peak = max(value for _, value in listing.rows)
    colours = rng.sample(list(COLOURS.values()), len(listing.rows))
    colours = colours if rng.random() < 0.5 else [colours[0]] * len(colours)
    for place, ((label, value), colour) in enumerate(zip(listing.rows, colours, strict=True)):
        middle = 2 + (place + 0.5) * step
        y = middle - layout.size * 0.62
        end = start + room * value / peak
        canvas.text(start - 4 - canvas.text_width(label), y, label)
        half = min(step * 0.35, layout.size * 0.5)
        if layout.style == "dots":
            canvas.box((end - 3, middle - 3, end, middle + 3), fill=colour)
        else:
            canvas.box((start, middle - half, max(start + 1, end), middle + half), fill=colour)
        canvas.text(end + 3, y, str(value))
    canvas.line(start - 1, 2, start - 1, layout.height - 2)


def draw_standing_bars(rng: random.Random, canvas: Canvas, listing: Listing) -> None:
    """Bars side by side, the label below and the value above each."""
    layout = canvas.layout
    step = layout.width / len(listing.rows)
    base = layout.height - layout.size * LINE_HEIGHT
    room = base - layout.size * LINE_HEIGHT - 2
    peak = max(value for _, value in listing.rows)
    colour = rng.choice(list(COLOURS.values()))
    for place, (label, value) in enumerate(listing.rows):
        middle = (place + 0.5) * step
        top = base - max(1, room * value / peak)
        canvas.box((middle - step * 0.28, top, middle + step * 0.28, base), fill=colour)
        canvas.text(middle - canvas.text_width(label) / 2, base, label)
        canvas.text(middle - canvas.text_width(str(value)) / 2, top - layout.size * 1.2, str(value))
    canvas.line(1, base, layout.width - 1, base)


def _fitting(
    rng: random.Random,
    split: Split,
    canvas: Canvas,
    most: int,
    room: float,
    header: tuple[str, str] | None = None,
    label_only: bool = False,
) -> Listing:
    """A listing of two to ``most`` rows whose columns (or, ``label_only``, whose labels) fit into ``room`` units."""
    while True:
        listing = draw_listing(rng, split, rng.randint(2, max(2, most)))
        lines = [*([header] if header else []), *((label, str(value)) for label, value in listing.rows)]
        labels = max(canvas.text_width(label) for label, _ in lines)
        values = max(canvas.text_width(value) for _, value in lines)
        if (labels if label_only else labels + 8 + values) <= room:
            return listing
