"""Pictures of the synthetic tasks as shards, asked as before and answered in sentences."""

import re
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from nvlm.data.drawn import draw_shards
from nvlm.data.prompts import Stage
from nvlm.data.sample import Message
from nvlm.data.synthetic.problem import Turn
from nvlm.data.synthetic.tasks import PICTURE_TASKS, draw_problem, to_sample

TASKS = {
    "pretrain": ("caption", "attribute", "count", "word"),
    "sft": ("caption", "attribute", "count", "word", "number", "table", "chart"),
}
"""Pretraining shows D and X a picture as one view of 64 pixels, which has no room for small print."""

SENTENCES = (
    (r"(?:Describe|What is in) the picture.*", "The picture shows {answer}."),
    (r"How many .+ are there\?", "There are {answer}."),
    (r"What colour is (the .+)\?", "{0} is {answer}."),
    (r"Which shape is (on .+|at .+)\?", "The {answer} is {0}."),
    (r"Which shape is (\w+)\?", "The {answer} is {0}."),
    (r"(?:Read|Transcribe) .+|What does it say\?", "It says “{answer}”."),
)
"""Questions, and how their answers are put; all others are put as "It is …"."""


def sentence(turn: Turn) -> str:
    """The answer of a turn as a sentence.

    >>> sentence(Turn("scene/colour", "What colour is the star?", "red"))
    'The star is red.'
    >>> sentence(Turn("scene/relation", "Is the red star above the blue ring?", "no"))
    'No, it is not.'
    """
    if turn.answer in ("yes", "no"):
        return "Yes, it is." if turn.answer == "yes" else "No, it is not."
    if turn.answer == "1" and turn.question.startswith("How many"):
        return "There is one."
    for question, answer in SENTENCES:
        if found := re.fullmatch(question, turn.question):
            written = answer.format(*found.groups(), answer=turn.answer)
            return written[0].upper() + written[1:]
    return f"It is {turn.answer}."


def draw_pictures(folder: Path, stage: Stage, count: int) -> Path:
    """Draw so many pictures into ``folder``, as shards; what is there of an interrupted run is kept.

    Raises:
        ValueError: the folder holds other samples.
    """
    settings = {"name": "drawn", "stage": stage, "tasks": list(TASKS[stage]), "count": count}
    return draw_shards(folder, settings, count, partial(draw_sample, stage), f"drawing for {stage}")


def draw_sample(stage: Stage, row: int) -> tuple[dict[str, Any], list[Image.Image]]:
    """The ``row``-th sample of a stage: its fields and its picture."""
    tasks = {name: PICTURE_TASKS[name] for name in TASKS[stage]}
    problem = draw_problem(tasks, "train", f"smol/{stage}", row)
    sample = to_sample(problem, str(row))
    answers = iter(problem.turns)
    messages: list[Message] = [
        {**message, "content": sentence(next(answers))} if message["role"] == "assistant" else message
        for message in sample.messages
    ]
    return {"id": f"drawn/{row}", "source": "drawn", "task": sample.task, "messages": messages}, sample.images
