"""Conversations as LLaVA keeps them, and most sets made for visual instruction tuning since (Liu et al., 2023).

A row: ``{"id", "image", "conversations": [{"from": "human" | "gpt" | "system", "value"}]}``, in a JSON list, in JSON
lines or in Parquet; ``image`` is a path, a list of paths, the bytes of a Parquet cell, or absent. ``<image>`` in a text
is the place of a picture. ShareGPT's text-only conversations have the same form.
"""

import re
from collections.abc import Iterator
from typing import Any

from nvlm.data.original import Original, Picture
from nvlm.data.reading import Row, objects
from nvlm.data.sample import Message
from nvlm.data.sources.source import Source

ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "assistant": "assistant",
    "system": "system",
}
PLACE = re.compile(r"\n?<image>\n?")


def rows(source: Source) -> Iterator[Row | ValueError]:
    """The conversations of all files."""
    return objects(source.data_files())


def sample(row: Row, source: Source) -> Original:
    """A conversation, with its pictures where ``<image>`` stood, or before its first question."""
    given = row.get("image", row.get("images"))
    pictures = tuple(picture(each, source) for each in (given if isinstance(given, list) else [given]) if each)
    messages = [_message(turn) for turn in row["conversations"]]
    return Original(str(row.get("id", "")), placed(messages, len(pictures)), pictures)


def placed(messages: list[Message], pictures: int) -> list[Message]:
    """The messages with places for the pictures before the first question, if they have no places themselves."""
    asked = [number for number, message in enumerate(messages) if message["role"] == "user"]
    if not (pictures and asked) or any(isinstance(message["content"], list) for message in messages):
        return messages
    content = [*[{"type": "image"}] * pictures, {"type": "text", "text": messages[asked[0]]["content"]}]
    return [*messages[: asked[0]], {"role": "user", "content": content}, *messages[asked[0] + 1 :]]


def picture(given: Any, source: Source) -> Picture:
    """A picture of a row: a path, the bytes of a file, or a cell that holds one of the two."""
    if isinstance(given, dict):
        given = given.get("bytes") or given.get("path")
    if isinstance(given, bytes):
        return given
    if isinstance(given, str):
        return source.picture(given)
    raise ValueError(f"a picture is {type(given).__name__}, neither a path nor bytes")


def _message(turn: Row) -> Message:
    role = ROLES.get(turn["from"] if "from" in turn else turn["role"])
    text = turn["value"] if "value" in turn else turn["content"]
    if role is None or not isinstance(text, str):
        raise ValueError(f"a turn is from {turn.get('from')!r} with a text of the type {type(text).__name__}")
    if role != "user":
        return {"role": role, "content": PLACE.sub("", text)}
    return {"role": role, "content": parts(text)}


def parts(text: str) -> str | list[dict[str, Any]]:
    """A text with ``<image>`` in it as a list of parts; any other text as it is.

    >>> parts("<image>\\nWhat is it?")
    [{'type': 'image'}, {'type': 'text', 'text': 'What is it?'}]
    """
    pieces = PLACE.split(text)
    if len(pieces) == 1:
        return text
    made: list[dict[str, Any]] = []
    for number, piece in enumerate(pieces):
        made += [{"type": "image"}] if number else []
        made += [{"type": "text", "text": piece}] if piece else []
    return made
