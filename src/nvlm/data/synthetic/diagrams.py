"""Small flow diagrams: labelled boxes joined by arrows (paper table 6: chart and diagram)."""

import random
from itertools import pairwise

from nvlm.data.synthetic.canvas import Canvas, draw_layout
from nvlm.data.synthetic.problem import Problem, Turn
from nvlm.data.synthetic.splits import Split, draw
from nvlm.data.synthetic.words import nouns


def diagram(rng: random.Random, split: Split) -> Problem:
    """Two to five boxes in a row or a column: what follows, what comes before, first, last, how many."""
    across = rng.random() < 0.5
    grids = ((3, 1), (4, 1), (5, 1), (6, 1)) if across else ((1, 2), (1, 3), (2, 2), (2, 3), (3, 2))
    layout = draw_layout(rng, split, "diagram", grids, (11, 14), ("boxed", "plain"))
    canvas = Canvas.random(rng, layout)
    most = layout.width // 72 if across else min(5, int(layout.height / (layout.size * 2.1)))
    number = rng.randint(2, max(2, most))
    room = (layout.width - 14 * (number - 1)) / number - 8 if across else layout.width - 10

    def choose() -> list[str]:
        fitting = [word for word in rng.sample(nouns(), 60) if canvas.text_width(word) < room]
        return fitting[:number]

    words = draw(choose, lambda chosen: f"flow {chosen[:2]}", split)
    if len(words) < number:
        return diagram(rng, split)
    _draw_flow(rng, canvas, words, across)
    place = rng.randrange(number - 1)
    turns = [
        *_neighbours(words[place], words[place + 1]),
        Turn("diagram/first", "Which is first?", words[0]),
        Turn("diagram/last", "Which is last?", words[-1]),
        Turn("diagram/count", "How many boxes are there?", str(number)),
    ]
    asked = rng.sample(turns, rng.randint(1, 4))
    turns += [turn for pair in pairwise(words) for turn in _neighbours(*pair)]
    return Problem(asked, canvas.finish(), rng.sample(turns, len(turns)))


def _neighbours(one: str, following: str) -> list[Turn]:
    return [
        Turn("diagram/next", f"What follows {one}?", following, evidence=one),
        Turn("diagram/previous", f"What comes before {following}?", one, evidence=following),
    ]


def _draw_flow(rng: random.Random, canvas: Canvas, words: list[str], across: bool) -> None:
    layout = canvas.layout
    height = layout.size * 1.5
    step = (layout.width - 2) / len(words) if across else (layout.height - 2) / len(words)
    fixed = rng.uniform(0, (layout.height if across else layout.width) - (height if across else 100) - 2)
    previous: tuple[float, float, float, float] | None = None
    for place, word in enumerate(words):
        wide = canvas.text_width(word)
        if across:
            x, y = 1 + place * step + (step - wide - 10) / 2, fixed
        else:
            x, y = max(4, min(fixed, layout.width - wide - 4)), 1 + place * step + (step - height) / 2
        box = (x - 2, y, x + wide + 2, y + height - 1)
        if layout.style == "boxed":
            canvas.box(box, outline=canvas.ink)
        canvas.text(x, y + layout.size * 0.1, word)
        if previous is not None:
            _arrow(canvas, previous, box, across)
        previous = box


def _arrow(canvas: Canvas, start: tuple[float, ...], end: tuple[float, ...], across: bool) -> None:
    if across:
        y = (start[1] + start[3]) / 2
        canvas.line(start[2] + 1, y, end[0] - 1, y)
        canvas.line(end[0] - 4, y - 3, end[0] - 1, y)
        canvas.line(end[0] - 4, y + 3, end[0] - 1, y)
    else:
        x = max(start[0], end[0]) + 8
        canvas.line(x, start[3] + 1, x, end[1] - 1)
        canvas.line(x - 3, end[1] - 4, x, end[1] - 1)
        canvas.line(x + 3, end[1] - 4, x, end[1] - 1)
