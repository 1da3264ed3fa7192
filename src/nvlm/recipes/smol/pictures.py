"""Pictures of the synthetic tasks as shards, asked as before and answered in sentences."""

import io
import re
from pathlib import Path

from PIL import Image

from nvlm.data.energon import write_metadata
from nvlm.data.pictures import check_picture
from nvlm.data.prepared import Prepared, read_prepared, write_prepared
from nvlm.data.progress import Progress
from nvlm.data.prompts import Stage
from nvlm.data.sample import Message
from nvlm.data.shards import ShardWriter, shard_name
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

PER_SHARD = 500


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
    folder.mkdir(parents=True, exist_ok=True)
    state = read_prepared(folder) or Prepared(settings)
    if state.settings != settings:
        raise ValueError(f"{folder} holds samples of {state.settings}, and not of {settings}; choose another folder")
    progress = Progress(f"drawing for {stage}", count, state.rows)
    while state.rows < count:
        first, last = state.rows, min(count, state.rows + PER_SHARD)
        writer = ShardWriter(folder / shard_name(len(state.shards)))
        try:
            for row in range(first, last):
                _draw(writer, row, stage)
                progress.update(row + 1)
        except BaseException:
            writer.discard()
            progress.close()
            raise
        writer.finish()
        state.shards[writer.path.name], state.rows = len(writer), last
        write_prepared(folder, state)
    progress.close()
    if not state.complete:
        write_metadata(folder, state.shards)
        state.complete = True
        write_prepared(folder, state)
    return folder


def _draw(writer: ShardWriter, row: int, stage: Stage) -> None:
    tasks = {name: PICTURE_TASKS[name] for name in TASKS[stage]}
    problem = draw_problem(tasks, "train", f"smol/{stage}", row)
    sample = to_sample(problem, str(row))
    answers = iter(problem.turns)
    messages: list[Message] = [
        {**message, "content": sentence(next(answers))} if message["role"] == "assistant" else message
        for message in sample.messages
    ]
    fields = {"id": f"drawn/{row}", "source": "drawn", "task": sample.task, "messages": messages}
    writer.add(row, fields, [check_picture(_png(image)) for image in sample.images])


def _png(image: Image.Image) -> bytes:
    written = io.BytesIO()
    image.save(written, format="PNG")
    return written.getvalue()
