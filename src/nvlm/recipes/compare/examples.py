"""Questions whose answers stand side by side in the report: the first of each of these tasks, whatever came of it."""

from collections.abc import Mapping
from pathlib import Path

from nvlm.data.synthetic.tasks import questions
from nvlm.evaluation.records import Records
from nvlm.recipes.compare.report import Example

TASKS = (
    "table/value", "chart/value", "chart/largest", "receipt/total", "receipt/price", "read/word", "read/line",
    "scene/count_colour", "scene/position", "scene/caption", "diagram/next", "text/value",
)  # fmt: skip

NOTHING = "(nothing)"
"""What stands for an empty answer."""

Answers = Mapping[str, tuple[str, float]]
"""Task → text and score."""


def first_answers(folder: Path) -> dict[str, tuple[str, float]]:
    """What a model answered to the first question of each task, from its folder of answers."""
    first = {task: next(iter(Records(folder, task)), None) for task in TASKS}
    return {
        task: (str(record.get("answer") or NOTHING), float(record["score"]))
        for task, record in first.items()
        if record is not None
    }


def examples(answers: Mapping[str, Answers]) -> list[Example]:
    """One example of each task that all variants answered.

    Args:
        answers: of every variant that is to be shown.
    """
    shown = [task for task in TASKS if answers and all(task in each for each in answers.values())]
    return [_example(task, answers) for task in shown]


def _example(task: str, answers: Mapping[str, Answers]) -> Example:
    sample, turn = next(questions("test", task, 1))
    said = {name: each[task] for name, each in answers.items()}
    return Example(task, turn.question, turn.answer, sample.images[0] if sample.images else None, said)
