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


def examples(answers: Mapping[str, Path]) -> list[Example]:
    """One example of each task.

    Args:
        answers: the folder of answers of every variant that is to be shown.
    """
    return [_example(task, answers) for task in TASKS] if answers else []


def _example(task: str, answers: Mapping[str, Path]) -> Example:
    sample, turn = next(questions("test", task, 1))
    first = {name: next(iter(Records(folder, task))) for name, folder in answers.items()}
    said = {name: (str(record.get("answer")) or NOTHING, float(record["score"])) for name, record in first.items()}
    return Example(task, turn.question, turn.answer, sample.images[0] if sample.images else None, said)
