"""The built-in suite: the held-out split of the synthetic tasks, answered by generating."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from PIL import Image

from nvlm.data.synthetic.scoring import score
from nvlm.data.synthetic.splits import Split
from nvlm.data.synthetic.tasks import questions
from nvlm.evaluation.intervals import Score, mean_score

GROUPS: dict[str, tuple[str, ...]] = {
    "text: copy, reverse, last letter, look-up, one-digit sums": (
        "text/copy", "text/reverse", "text/last_letter", "text/value", "text/add",
    ),
    "shapes, colours, counts up to 9, left/right/above": (
        "scene/count", "scene/count_colour", "scene/count_shape",
        "scene/colour", "scene/shape", "scene/relation", "scene/position",
    ),
    "value of a label in a table or chart; largest, smallest": (
        "table/value", "table/largest", "table/smallest", "chart/value", "chart/largest", "chart/smallest",
    ),
    "receipt: total, date, price of an item": ("receipt/total", "receipt/date", "receipt/price"),
    "read one word or one number": ("read/word", "read/number"),
    "read a line of three words": ("read/line",),
    "caption: things, colours, relations named right": ("scene/caption",),
    "sum, difference, count of rows in a table or chart": (
        "table/sum", "table/difference", "table/count", "chart/sum", "chart/difference", "chart/count",
    ),
    "read a page, one of its lines, count its lines": ("read/page", "read/nth_line", "read/count_lines"),
    "diagrams: next, previous, first, last, count": (
        "diagram/next", "diagram/previous", "diagram/first", "diagram/last", "diagram/count",
    ),
}  # fmt: skip
"""Tasks by the row of the table they are reported in."""

TARGETS: dict[str, tuple[float, float]] = dict(
    zip(GROUPS, ((0.95, 0.8), (0.9, 0.7), (0.8, 0.5), (0.7, 0.4), (0.9, 0.6), (0.7, 0.3), (0.8, 0.5)), strict=False)
)
"""The nano family's target and its floor to ship, for the first seven rows."""

Ask = Callable[[Sequence[tuple[str, Sequence[Image.Image]]]], Sequence[str]]
"""Questions with their pictures → answers."""


@dataclass(frozen=True)
class Answered:
    """One answered question."""

    task: str
    question: str
    truth: str
    answer: str
    score: float


def answer_task(ask: Ask, task: str, split: Split, count: int, together: int = 32) -> Iterator[Answered]:
    """Answer ``count`` questions of one task, ``together`` at a time."""
    waiting: list[tuple[str, list[Image.Image], str]] = []
    for number, (sample, turn) in enumerate(questions(split, task, count), start=1):
        waiting.append((turn.question, sample.images, turn.answer))
        if len(waiting) == together or number == count:
            answers = ask([(question, images) for question, images, _ in waiting])
            for (question, _, truth), answer in zip(waiting, answers, strict=True):
                yield Answered(task, question, truth, answer, score(task, answer, truth))
            waiting.clear()


def run_suite(
    ask: Ask, split: Split, count: int, together: int = 32, say: Callable[[str], None] = print
) -> dict[str, Score]:
    """Scores of every task with ``count`` questions each, and of every group over the questions of its tasks."""
    scores: dict[str, Score] = {}
    for group, tasks in GROUPS.items():
        answered = [each for task in tasks for each in answer_task(ask, task, split, count, together)]
        for task in tasks:
            scores[task] = mean_score([each.score for each in answered if each.task == task])
            say(f"{task:22} {scores[task]}")
        scores[group] = mean_score([each.score for each in answered])
    return scores
