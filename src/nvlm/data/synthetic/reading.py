"""Reading text: one word, one number, a line of three words, a page of lines (paper table 4: OCR, document)."""

import random
from functools import partial

from nvlm.data.synthetic.canvas import GRIDS, Canvas, Layout, draw_layout
from nvlm.data.synthetic.problem import Problem, Turn
from nvlm.data.synthetic.splits import Split, draw
from nvlm.data.synthetic.words import labels

READ = ("Read the text.", "What does it say?", "Transcribe the text.")
LINE_HEIGHT = 1.3


def word(rng: random.Random, split: Split) -> Problem:
    """One word of the vocabulary at a random place. Held out: the pair of a word and a font, and the layout."""
    layout = draw_layout(rng, split, "word")
    text = draw(lambda: rng.choice(labels()), lambda chosen: f"{chosen} in {layout.font}", split)
    return _placed(rng, layout, text, "read/word")


def number(rng: random.Random, split: Split) -> Problem:
    """One number of one to five digits; numbers of three digits and more are held out."""
    layout = draw_layout(rng, split, "number")

    def choose() -> str:
        digits = rng.randint(1, 5)
        return str(rng.randint(10 ** (digits - 1) - (digits == 1), 10**digits - 1))

    def key(chosen: str) -> str:
        return f"number {chosen}" if len(chosen) > 2 else f"number {chosen} in {layout.font}"

    return _placed(rng, layout, draw(choose, key, split), "read/number")


def line(rng: random.Random, split: Split) -> Problem:
    """Three words on one line. Held out: the line, and the layout."""
    wide = tuple(grid for grid in GRIDS if grid[0] >= 3)
    layout = draw_layout(rng, split, "line", wide, sizes=(11, 16))
    canvas = Canvas.random(rng, layout)

    def choose() -> str:
        while True:
            text = " ".join(rng.choice(labels()) for _ in range(3))
            if canvas.text_width(text) < layout.width - 4:
                return text

    return _placed(rng, layout, draw(choose, lambda text: f"line {text}", split), "read/line", canvas)


def page(rng: random.Random, split: Split) -> Problem:
    """Two to six lines of words and numbers: all of them, or one by its place."""
    layout = draw_layout(rng, split, "page", tuple(grid for grid in GRIDS if grid[0] >= 2), sizes=(11, 16))
    canvas = Canvas.random(rng, layout)
    step = layout.size * LINE_HEIGHT
    most = min(6, int((layout.height - 4) / step))
    lines: list[str] = []
    while len(lines) < rng.randint(2, max(2, most)) and len(lines) < most:
        count = rng.randint(1, 3)
        _words_and_numbers(rng, count)  # keeps the order of draws that models were trained with
        text = draw(partial(_words_and_numbers, rng, count), lambda line: f"line {line}", split)
        if canvas.text_width(text) < layout.width - 4:
            lines.append(text)
    top = rng.uniform(0, layout.height - len(lines) * step - 1)
    left = rng.uniform(1, layout.width - max(map(canvas.text_width, lines)) - 1)
    for place, text in enumerate(lines):
        canvas.text(left, top + place * step, text)
    turns = [Turn("read/page", rng.choice(READ), "\n".join(lines))]
    each = [Turn("read/nth_line", f"Read line {place}.", text) for place, text in enumerate(lines, 1)]
    turns.append(rng.choice(each))
    turns.append(Turn("read/count_lines", "How many lines are there?", str(len(lines))))
    asked = rng.sample(turns, rng.randint(1, 2))
    turns += each
    return Problem(asked, canvas.finish(), rng.sample(turns, len(turns)))


def _word_or_number(rng: random.Random) -> str:
    return str(rng.randint(1, 999)) if rng.random() < 0.3 else rng.choice(labels())


def _words_and_numbers(rng: random.Random, count: int) -> str:
    return " ".join(_word_or_number(rng) for _ in range(count))


def _placed(rng: random.Random, layout: Layout, text: str, task: str, canvas: Canvas | None = None) -> Problem:
    """``text`` at a random place, smaller than the layout asks where it would not fit."""
    canvas = canvas or Canvas.random(rng, layout)
    size = min(layout.size, layout.size * (layout.width - 4) / canvas.text_width(text))
    x = rng.uniform(1, max(1.01, layout.width - canvas.text_width(text, size) - 1))
    y = rng.uniform(0, layout.height - size * LINE_HEIGHT)
    canvas.text(x, y, text, size)
    return Problem([Turn(task, rng.choice(READ), text)], canvas.finish())
