"""Anybody's rows: JSON, JSON lines, Parquet or Arrow files in whichever of the usual forms each row has.

* ``{"messages": [{"role", "content"}], "images": […]}``, contents being strings (``<image>`` is a place) or parts;
* ``{"conversations": […]}``: LLaVA's; ``{"texts": […], "images": […]}``: The Cauldron's;
* ``{"question", "answer", "choices", "image"}`` and ``{"caption", "image"}``: as they are, without added words, but for
  the letters of choices and the request for a caption.

Fields of other names are renamed by options: ``question=sentence`` takes ``sentence`` for the question.
"""

from collections.abc import Iterator
from typing import Any

from nvlm.data import prompts
from nvlm.data.original import Original, Picture
from nvlm.data.reading import Row, objects
from nvlm.data.sample import Message
from nvlm.data.sources import cauldron, llava
from nvlm.data.sources.flat import letter, one
from nvlm.data.sources.source import Source
from nvlm.data.sources.turns import ask

FIELDS = ("id", "image", "images", "messages", "conversations", "texts", "question", "answer", "choices", "caption")


def rows(source: Source) -> Iterator[Row | ValueError]:
    """The rows of all files."""
    return objects(source.data_files())


def sample(row: Row, source: Source) -> Original:
    """The row as a conversation.

    Raises:
        ValueError: it has none of the forms.
    """
    row = {**row, **{field: row[source.options[field]] for field in FIELDS if field in source.options}}
    if "conversations" in row:
        return llava.sample(row, source)
    if "texts" in row:
        return cauldron.sample(row, source)
    given = row.get("images", row.get("image"))
    pictures = tuple(llava.picture(each, source) for each in (given if isinstance(given, list) else [given]) if each)
    return Original(str(row.get("id", "")), _messages(row, source, pictures), pictures)


def _messages(row: Row, source: Source, pictures: tuple[Picture, ...]) -> list[Message]:
    id = str(row.get("id") or row.get("question") or row.get("caption"))
    if "messages" in row:
        return llava.placed([_message(turn) for turn in row["messages"]], len(pictures))
    if "question" in row and row.get("choices"):
        choices = [str(choice) for choice in row["choices"]]
        return ask(prompts.letters(row["question"], choices), letter(row["answer"], choices), len(pictures))
    if "question" in row:
        return ask(str(row["question"]), one(row["answer"], id), len(pictures))
    if "caption" in row and pictures:
        return ask(prompts.caption(source.stage, id), one(row["caption"], id), len(pictures))
    raise ValueError(
        f"a row with the fields {', '.join(row)} has neither messages, conversations, texts, a question nor a caption; "
        "name its fields with --fields question=… answer=…"
    )


def _message(turn: Row) -> Message:
    content: Any = turn["content"]
    if isinstance(content, str) and turn["role"] == "user":
        content = llava.parts(content)
    if isinstance(content, list):
        content = [{"type": "image"} if part["type"] == "image" else part for part in content]
    return {"role": turn["role"], "content": content}
