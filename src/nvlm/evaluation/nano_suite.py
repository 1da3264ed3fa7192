"""The built-in suite: the held-out splits of the synthetic tasks, one benchmark for each task."""

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import cast

from PIL import Image

from nvlm.data.synthetic.scoring import conclusion, score
from nvlm.data.synthetic.splits import Split
from nvlm.data.synthetic.tasks import questions
from nvlm.evaluation.answers import WHOLE, said
from nvlm.evaluation.benchmark import Benchmark, Graded, Question
from nvlm.evaluation.intervals import Score, mean_score
from nvlm.evaluation.runner import Answer, Job, run

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


def benchmark(task: str) -> Benchmark:
    """The benchmark of one task."""

    def made(split: str) -> Iterator[Question]:
        for sample, turn in questions(cast(Split, split), task, sys.maxsize):
            yield Question(sample.id, (*sample.images, turn.question), turn.answer)

    def grade(answer: str, truth: str) -> Graded:
        return Graded(score(task, answer, truth), said(conclusion(answer)))

    return Benchmark(
        name=task,
        origin="drawn from seeds, nothing to get",
        licence="Apache-2.0, as this package",
        citation="nvlm.data.synthetic",
        splits={"test": (), "validation": ()},
        grade=grade,
        extraction=f"{WHOLE}; what follows its last colon where it begins with evidence",
        metric="things, colours and relations named right" if task == "scene/caption" else "exact match",
        prompt="the task's own",
        system=None,
        max_new_tokens=64,
        text_only=task.startswith("text/"),
        made=made,
        default_limit=500,
    )


NANO: dict[str, Benchmark] = {task: benchmark(task) for tasks in GROUPS.values() for task in tasks}
"""Every task's benchmark."""


def run_suite(
    ask: Ask, split: Split, count: int, together: int = 32, say: Callable[[str], None] = print
) -> dict[str, Score]:
    """Scores of every task with ``count`` questions each, and of every group over the questions of its tasks."""

    def answer(questions: Sequence[Question], benchmark: Benchmark) -> list[Answer]:
        pairs = [
            ("".join(part for part in question.content if isinstance(part, str)), drawn(question))
            for question in questions
        ]
        return [Answer(text, 0) for text in ask(pairs)]

    scores: dict[str, Score] = {}
    for group, tasks in GROUPS.items():
        pooled: list[float] = []
        for task in tasks:
            outcome = run(Job(NANO[task], split, limit=count), answer, batch=together)
            scores[task] = mean_score(list(outcome.scores.values()))
            pooled += outcome.scores.values()
            say(f"{task:22} {scores[task]}")
        scores[group] = mean_score(pooled)
    return scores


def drawn(question: Question) -> list[Image.Image]:
    """The pictures of a question, all of them drawn here."""
    return [picture for picture in question.pictures if isinstance(picture, Image.Image)]
