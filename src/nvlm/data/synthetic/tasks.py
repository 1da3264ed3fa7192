"""Every synthetic task by name, and how samples are drawn from them."""

import random
from collections.abc import Callable, Iterator
from typing import Any

from nvlm.data.sample import Message, Sample
from nvlm.data.synthetic import diagrams, reading, receipts, scenes, tables
from nvlm.data.synthetic.problem import Problem, Turn
from nvlm.data.synthetic.splits import Split, generator
from nvlm.data.synthetic.text import TEXT_TASKS
from nvlm.data.synthetic.told import TOLD_TASKS

Task = Callable[[random.Random, Split], Problem]

PICTURE_TASKS: dict[str, tuple[Task, float]] = {
    "word": (reading.word, 1.5),
    "number": (reading.number, 1.5),
    "line": (reading.line, 1.0),
    "page": (reading.page, 1.5),
    "table": (tables.table, 2.0),
    "chart": (tables.chart, 2.0),
    "receipt": (receipts.receipt, 2.0),
    "count": (scenes.count, 1.5),
    "attribute": (scenes.attribute, 1.5),
    "caption": (scenes.caption, 1.0),
    "diagram": (diagrams.diagram, 1.0),
}
"""Every picture task with its weight in the blend."""

TASKS: dict[str, tuple[Task, float]] = PICTURE_TASKS | TEXT_TASKS | TOLD_TASKS

FAMILIES = {
    "table": "table", "chart": "chart", "receipt": "receipt", "diagram": "diagram",
    "read/word": "word", "read/number": "number", "read/line": "line",
    "read/page": "page", "read/nth_line": "page", "read/count_lines": "page",
    "scene/count": "count", "scene/count_colour": "count",
    "scene/count_shape": "count", "scene/count_both": "count",
    "scene/colour": "attribute", "scene/shape": "attribute",
    "scene/relation": "attribute", "scene/position": "attribute",
    "scene/caption": "caption",
    "text/recall": "recall", "text/copy": "copy", "text/reverse": "reverse",
    "text/last_letter": "last_letter", "text/first_letter": "last_letter",
    "text/add": "add", "text/subtract": "add", "text/sort": "sort",
    "text/largest_number": "sort", "text/smallest_number": "sort",
    "text/count_words": "strings", "text/first_word": "strings", "text/last_word": "strings",
    "text/contains": "strings", "text/next_word": "strings",
    "text/value": "lookup", "text/largest": "lookup", "text/smallest": "lookup", "text/sum": "lookup",
    "text/difference": "lookup", "text/count": "lookup",
    "text/count_colour": "colours", "text/count_all": "colours", "text/colour_of": "colours",
    "told/relation": "told_relation", "told/count": "told_count",
}  # fmt: skip
"""Which task makes the turns that are scored under a name (or under every name that starts with ``table/`` …)."""


def draw_problem(tasks: dict[str, tuple[Task, float]], split: Split, stream: str, index: int) -> Problem:
    """The ``index``-th problem of a weighted stream of tasks: the same one whenever and wherever it is drawn."""
    rng = generator(split, stream, index)
    name = rng.choices(list(tasks), [weight for _, weight in tasks.values()])[0]
    return tasks[name][0](rng, split)


def to_sample(problem: Problem, id: str, *, explain: bool = False) -> Sample:
    """The problem as a conversation, the picture in its first user turn.

    Args:
        explain: answers about a drawing stand after their evidence.
    """
    messages: list[Message] = []
    for turn in problem.turns:
        question: str | list[dict[str, Any]] = turn.question
        if problem.drawing is not None and not messages:
            question = [{"type": "image"}, {"type": "text", "text": turn.question}]
        answer = turn.explained if explain and problem.drawing is not None else turn.answer
        messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    images = [] if problem.drawing is None else [problem.drawing.image]
    return Sample(id, source="synthetic", task=problem.turns[0].task, messages=messages, images=images)


def questions(split: Split, task: str, count: int) -> Iterator[tuple[Sample, Turn]]:
    """``count`` single questions of one scored task (``table/value`` …), each about a picture of its own."""
    family, index, found = _family(task), 0, 0
    while found < count:
        problem = family(generator(split, f"questions/{task}", index), split)
        index += 1
        for turn in problem.turns:
            if turn.task == task:
                asked = Problem([_alone(problem, turn)], problem.drawing)
                yield to_sample(asked, f"{split}/{task}/{index - 1}"), asked.turns[0]
                found += 1
                break


def _alone(problem: Problem, turn: Turn) -> Turn:
    """The turn as a first question: a text-only problem shows its list in the first turn, which then belongs to it."""
    first = problem.turns[0]
    if problem.drawing is not None or turn is first or "\n" not in first.question:
        return turn
    shown = first.question.rsplit("\n", 1)[0]
    return Turn(turn.task, f"{shown}\n{turn.question}", turn.answer)


def _family(task: str) -> Task:
    """The generator that makes ``task``.

    Raises:
        ValueError: no generator makes a task of that name.
    """
    family = FAMILIES.get(task) or FAMILIES.get(task.partition("/")[0])
    if family is None:
        raise ValueError(f"no synthetic task is called {task!r}; there are {', '.join(FAMILIES)}")
    return TASKS[family][0]
