"""The questions of the demo: real figures, held-out synthetic pictures, and one question without a picture."""

from dataclasses import dataclass
from itertools import count

from PIL import Image

from nvlm.data.showcase.facts import Facts, read_facts
from nvlm.data.synthetic.problem import Problem, Turn
from nvlm.data.synthetic.splits import generator
from nvlm.data.synthetic.tasks import TASKS

HELD_OUT = {
    "receipt/total": ("receipt", "A receipt: its total"),
    "receipt/price": ("receipt", "A receipt: one price"),
    "scene/count_colour": ("count", "Counting shapes"),
    "scene/position": ("attribute", "Where shapes stand"),
    "scene/caption": ("caption", "Describing a scene"),
    "read/word": ("word", "Reading a word"),
    "read/line": ("line", "Reading a line"),
    "diagram/next": ("diagram", "Following arrows"),
    "text/value": ("lookup", "Text only: looking up a value"),
}
"""Synthetic task → the generator that makes it, and a title."""

DRAWN = "Drawn for the test split: its layout and its combination of contents are held out of training."
WRITTEN = "Written for the test split: its values are held out of training."


@dataclass(frozen=True)
class Exhibit:
    """One question of the demo.

    Attributes:
        title: what is to be done.
        question: what the model is asked.
        truth: the right answer.
        credit: where the picture comes from.
        image: the picture; None for text-only.
        description: the picture in words, for those who cannot see it.
    """

    title: str
    question: str
    truth: str
    credit: str
    image: Image.Image | None
    description: str


def exhibits() -> list[Exhibit]:
    """The demo's questions, the same ones every time."""
    return [_of_facts(facts) for facts in read_facts()] + [_held_out(task) for task in HELD_OUT]


def _of_facts(facts: Facts) -> Exhibit:
    new = facts.unknown_labels
    note = f" No training picture shows the words {', '.join(new)}." if new else ""
    drawn = "chart" if facts.picture in ("lying", "dots", "standing") else "table"
    rows = ", ".join(f"{label} {value}" for label, value in facts.values.items())
    return Exhibit(
        facts.title,
        facts.question,
        facts.truth,
        facts.credit + note,
        facts.draw().image,
        f"{facts.title}, a {drawn}: {rows}",
    )


def _held_out(task: str) -> Exhibit:
    family, title = HELD_OUT[task]
    problem, turn = _first(task, family)
    if problem.drawing is None:
        return Exhibit(title, turn.question, turn.answer, WRITTEN, None, "")
    shown = dict.fromkeys(f"{mark.colour} {mark.word}" if mark.colour else mark.word for mark in problem.drawing.marks)
    description = f"{title}. In the picture: {', '.join(shown)}"
    return Exhibit(title, turn.question, turn.answer, DRAWN, problem.drawing.image, description)


def _first(task: str, family: str) -> tuple[Problem, Turn]:
    """The first problem of the test split that asks for `task`; a text-only list is shown in the first turn."""
    make, _ = TASKS[family]
    for index in count():
        problem = make(generator("test", f"showcase/{task}", index), "test")
        asked = problem.turns[:1] if problem.drawing is None else problem.turns
        for turn in asked:
            if turn.task == task:
                return problem, turn
    raise AssertionError("the generators never end")
