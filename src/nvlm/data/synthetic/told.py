"""Scenes told in words, text-only: questions about pictures whose answers have to be concluded from what is seen.

A small model sees the things of a drawn scene, and their order, long before it can tell from them whether one is left
of the other or how many are red. Words teach that for the price of a line of text: decision 0049.
"""

import random
from dataclasses import replace

from nvlm.data.synthetic import scenes
from nvlm.data.synthetic.problem import Problem, Turn
from nvlm.data.synthetic.scenes import Thing
from nvlm.data.synthetic.splits import Split, draw
from nvlm.data.synthetic.text import TextTask
from nvlm.data.synthetic.words import kinds


def relation(rng: random.Random, split: Split) -> Problem:
    """Two things in a sentence, and which is left of, right of, above or below the other; the answer repeats the
    sentence first, as answers about pictures do. Held out: the same pairs as in drawn scenes."""
    pairs = [(colour, shape) for colour in kinds()["colours"] for shape in kinds()["shapes"]]
    names = draw(lambda: rng.sample(pairs, 2), lambda chosen: f"scene {sorted(map(' '.join, chosen))}", split)
    things = [Thing(colour, shape, rng.random(), rng.random(), radius=0) for colour, shape in names]
    asked = [scenes.relation(rng, *rng.sample(things, 2)) for _ in range(6)]
    return _told(scenes.describe(things), "relation", asked)


def count(rng: random.Random, split: Split) -> Problem:
    """One to nine things of few kinds in a list: how many of each colour and of each shape."""

    def choose() -> list[tuple[str, str]]:
        palette = rng.sample(kinds()["colours"], rng.randint(1, 3))
        outlines = rng.sample(kinds()["shapes"], rng.randint(1, 3))
        return [(rng.choice(palette), rng.choice(outlines)) for _ in range(rng.randint(1, 9))]

    names = draw(choose, lambda chosen: f"told {chosen}", split)
    things = [Thing(*name, x=0, y=0, radius=0) for name in names]
    asked = scenes.counts(things)
    return _told(", ".join(map(str, things)), "count", rng.sample(asked, len(asked)))


def _told(words: str, kind: str, asked: list[Turn]) -> Problem:
    """The questions, each once and answered after its evidence, about what the first of them tells."""
    turns = [
        Turn(f"told/{kind}", question, turn.explained)
        for question, turn in {turn.question: turn for turn in asked}.items()
    ]
    return Problem([replace(turns[0], question=f"{words}\n{turns[0].question}"), *turns[1:]])


TOLD_TASKS: dict[str, tuple[TextTask, float]] = {"told_relation": (relation, 8.0), "told_count": (count, 13.0)}
"""The tasks with their weights in a blend with the other text-only ones."""
