"""Problems to test on, made once, and what can be read back from the marks of a drawing."""

import re
from dataclasses import dataclass
from functools import cache
from itertools import groupby

from nvlm.data.synthetic.canvas import Box, Drawing, Mark
from nvlm.data.synthetic.problem import Problem, Turn
from nvlm.data.synthetic.splits import SPLITS, Split, generator
from nvlm.data.synthetic.tasks import PICTURE_TASKS, TASKS

PICTURES, TEXTS = 120, 400
"""Problems of each task and split."""
EVERY = 99
"""More turns than a problem can have."""
OPPOSITE = {"right of": "left of", "below": "above"}


@dataclass(frozen=True)
class Word:
    """A drawn word and where it stands."""

    text: str
    box: Box

    @property
    def middle(self) -> float:
        """Its centre from left to right."""
        return (self.box[0] + self.box[2]) / 2


@cache
def problems(task: str, split: Split) -> tuple[Problem, ...]:
    """The first problems of a task in a split."""
    count = PICTURES if task in PICTURE_TASKS else TEXTS
    return tuple(TASKS[task][0](generator(split, f"tests/{task}", index), split) for index in range(count))


def drawn_turns(task: str) -> list[tuple[Drawing, Turn]]:
    """Every turn of a picture task, and all else that could be asked, with its drawing, over all splits."""
    return [
        (problem.drawing, turn)
        for split in SPLITS
        for problem in problems(task, split)
        if problem.drawing is not None
        for turn in problem.asked(EVERY).turns
    ]


def turns(task: str) -> list[Turn]:
    """Every turn of a text-only task over all splits, later turns with the list that the first one shows."""
    found = []
    for split in SPLITS:
        for problem in problems(task, split):
            head, newline, _ = problem.turns[0].question.rpartition("\n")
            found.append(problem.turns[0])
            found += [Turn(turn.task, head + newline + turn.question, turn.answer) for turn in problem.turns[1:]]
    return found


def words(drawing: Drawing) -> list[Word]:
    """The words in the order they were written, each put together from its characters."""
    found: list[list[Mark]] = []
    for mark in drawing.marks:
        if mark.character is None:
            continue
        if mark.place == 0:
            found.append([])
        assert mark.place == len(found[-1])
        found[-1].append(mark)
    return [_word(marks) for marks in found]


def lines(drawing: Drawing) -> list[list[Word]]:
    """Words that stand at the same height, from left to right; lines from top to bottom."""
    ordered = sorted(words(drawing), key=lambda word: (round(word.box[1], 6), word.box[0]))
    return [list(line) for _, line in groupby(ordered, key=lambda word: round(word.box[1], 6))]


def texts(drawing: Drawing) -> list[str]:
    """The lines as strings."""
    return [" ".join(word.text for word in line) for line in lines(drawing)]


def shapes(drawing: Drawing) -> list[Mark]:
    """The shapes in the order they were drawn."""
    return [mark for mark in drawing.marks if mark.character is None]


def asked_relation(question: str) -> tuple[str, ...]:
    """What a question about a relation asks, as a caption would say it: a thing, left of or above, another thing."""
    asked = re.fullmatch(r"Is the (\w+ \w+) (left of|right of|above|below) the (\w+ \w+)\?", question)
    assert asked
    first, relation, second = asked.groups()
    return (second, OPPOSITE[relation], first) if relation in OPPOSITE else (first, relation, second)


def _word(marks: list[Mark]) -> Word:
    text = "".join(mark.character or "" for mark in marks)
    assert {mark.word for mark in marks} == {text}
    return Word(text, (marks[0].box[0], marks[0].box[1], marks[-1].box[2], marks[-1].box[3]))
