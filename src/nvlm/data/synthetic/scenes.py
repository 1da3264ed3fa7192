"""Scenes of coloured shapes: counting, colour, shape, position, captions (paper table 4: captioning, CLEVR-Math)."""

import random
from dataclasses import dataclass

from nvlm.data.synthetic.canvas import Canvas, Drawing, Layout, draw_layout
from nvlm.data.synthetic.problem import Problem, Turn
from nvlm.data.synthetic.splits import Split, draw
from nvlm.data.synthetic.words import kinds

CAPTION = ("Describe the picture.", "Describe the picture briefly.", "What is in the picture?")
PLURALS = {"cross": "crosses"}


@dataclass(frozen=True)
class Thing:
    """A shape at a place, in units."""

    colour: str
    shape: str
    x: float
    y: float
    radius: float

    def __str__(self) -> str:
        return f"{self.colour} {self.shape}"


def count(rng: random.Random, split: Split) -> Problem:
    """One to nine shapes: how many in all, of a colour, of a shape. Few kinds, so that counts above one occur."""
    number = rng.randint(1, 9)
    layout, things = _scene(rng, split, number, colours=rng.randint(1, 3), shapes=rng.randint(1, 3))
    asked = rng.choice(things)
    turns = [
        Turn("scene/count", "How many shapes are there?", str(len(things))),
        _of_colour(things, asked.colour),
        _of_shape(things, asked.shape),
        Turn(
            "scene/count_both",
            f"How many {asked.colour} {plural(asked.shape)} are there?",
            _count(things, asked.colour, asked.shape),
        ),
    ]
    first, drawing = rng.sample(turns, rng.randint(1, 3)), _drawn(rng, layout, things)
    turns += counts(things)
    return Problem(first, drawing, rng.sample(turns, len(turns)))


def attribute(rng: random.Random, split: Split) -> Problem:
    """Two to five different shapes: which colour, which shape, and where they are to each other."""
    layout, things = _scene(rng, split, rng.randint(2, 5))
    turns = _attributes(rng, things)
    asked, drawing = rng.sample(turns, min(len(turns), rng.randint(1, 4))), _drawn(rng, layout, things)
    others = turns + _attributes(rng, things)
    return Problem(asked, drawing, rng.sample(others, len(others)))


def caption(rng: random.Random, split: Split) -> Problem:
    """A scene of one to four things in words: two things with their relation, three and more from left to right."""
    layout, things = _scene(rng, split, rng.randint(1, 4))
    asked, drawing = [Turn("scene/caption", rng.choice(CAPTION), describe(things))], _drawn(rng, layout, things)
    others = _attributes(rng, things) if len(things) > 1 else []
    return Problem(asked, drawing, rng.sample(others, len(others)))


def describe(things: list[Thing]) -> str:
    """The one correct caption.

    >>> describe([Thing("blue", "square", 50, 10, 9), Thing("red", "circle", 10, 12, 9)])
    'a red circle left of a blue square'
    """
    names = [f"{'an' if thing.colour[0] == 'o' else 'a'} {thing}" for thing in sorted(things, key=lambda t: t.x)]
    if len(things) == 2:
        first, second = sorted(things, key=lambda t: t.x)
        if abs(first.x - second.x) >= abs(first.y - second.y):
            return f"{names[0]} left of {names[1]}"
        upper, lower = (names[0], names[1]) if first.y < second.y else (names[1], names[0])
        return f"{upper} above {lower}"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def plural(shape: str) -> str:
    """The shape's name for several of it."""
    return PLURALS.get(shape, f"{shape}s")


def _attributes(rng: random.Random, things: list[Thing]) -> list[Turn]:
    """Different questions about two or more things: colour, shape, three relations, what is outermost."""
    turns = []
    for thing in things:
        if sum(other.shape == thing.shape for other in things) == 1:
            turns.append(Turn("scene/colour", f"What colour is the {thing.shape}?", thing.colour))
        if sum(other.colour == thing.colour for other in things) == 1:
            turns.append(Turn("scene/shape", f"Which shape is {thing.colour}?", thing.shape))
    turns += [
        relation(rng, *pair) for pair in (rng.sample(things, 2) for _ in range(3)) if str(pair[0]) != str(pair[1])
    ]
    by_x, by_y = sorted(things, key=lambda thing: thing.x), sorted(things, key=lambda thing: thing.y)
    for words, thing, beside in (
        ("on the left", by_x[0], by_x[1].x - by_x[0].x),
        ("on the right", by_x[-1], by_x[-1].x - by_x[-2].x),
        ("at the top", by_y[0], by_y[1].y - by_y[0].y),
        ("at the bottom", by_y[-1], by_y[-1].y - by_y[-2].y),
    ):
        if beside > thing.radius:
            turns.append(Turn("scene/position", f"Which shape is {words}?", str(thing)))
    return list({turn.question: turn for turn in turns}.values())


def relation(rng: random.Random, one: Thing, other: Thing) -> Turn:
    """Whether ``one`` is on one side of ``other``: right or wrong at even odds."""
    across = abs(one.x - other.x) >= abs(one.y - other.y)
    words = rng.choice(("left of", "right of")) if across else rng.choice(("above", "below"))
    first_is_smaller = one.x < other.x if across else one.y < other.y
    true = first_is_smaller == (words in ("left of", "above"))
    question, answer = f"Is the {one} {words} the {other}?", "yes" if true else "no"
    return Turn("scene/relation", question, answer, evidence=describe([one, other]))


def counts(things: list[Thing]) -> list[Turn]:
    """How many things are of each colour, and how many of each shape."""
    of_colours = [_of_colour(things, colour) for colour in sorted({thing.colour for thing in things})]
    return of_colours + [_of_shape(things, shape) for shape in sorted({thing.shape for thing in things})]


def _of_colour(things: list[Thing], colour: str) -> Turn:
    return Turn("scene/count_colour", f"How many {colour} shapes are there?", _count(things, colour=colour))


def _of_shape(things: list[Thing], shape: str) -> Turn:
    return Turn("scene/count_shape", f"How many {plural(shape)} are there?", _count(things, shape=shape))


def _count(things: list[Thing], colour: str | None = None, shape: str | None = None) -> str:
    return str(sum(colour in (None, thing.colour) and shape in (None, thing.shape) for thing in things))


def _scene(
    rng: random.Random, split: Split, number: int, colours: int | None = None, shapes: int | None = None
) -> tuple[Layout, list[Thing]]:
    """Things that do not touch. Held out: the first two things together, and the layout."""
    layout = draw_layout(rng, split, "scene", sizes=(12, 22), styles=(f"{number} things",))
    palette = rng.sample(kinds()["colours"], colours or 6)
    outlines = rng.sample(kinds()["shapes"], shapes or 6)

    def choose() -> list[str]:
        return [f"{rng.choice(palette)} {rng.choice(outlines)}" for _ in range(number)]

    varied = number > 1 and len(palette) * len(outlines) > 12
    names = draw(choose, lambda chosen: f"scene {sorted(chosen[:2])}", split) if varied else choose()
    if colours is None and number > 1 and len(set(names)) < number:
        return _scene(rng, split, number)
    radius = min(layout.size / 2 + 3, (layout.width * layout.height / number) ** 0.5 / 3.2)
    things: list[Thing] = []
    while len(things) < number:
        size = radius * rng.uniform(0.75, 1.15)
        x, y = rng.uniform(size, layout.width - size), rng.uniform(size, layout.height - size)
        if all(max(abs(x - thing.x), abs(y - thing.y)) > size + thing.radius + 1 for thing in things):
            colour, shape = names[len(things)].split()
            things.append(Thing(colour, shape, x, y, size))
        else:
            radius *= 0.995
    return layout, things


def _drawn(rng: random.Random, layout: Layout, things: list[Thing]) -> Drawing:
    canvas = Canvas.random(rng, layout)
    for thing in things:
        canvas.shape(thing.shape, thing.colour, thing.x, thing.y, thing.radius)
    return canvas.finish()
