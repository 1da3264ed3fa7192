"""What a converter makes of a row: a conversation, with its pictures still as the files that were published."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from nvlm.data.sample import Message

Picture: TypeAlias = Path | bytes
"""A picture's file, or the bytes of one."""


@dataclass(frozen=True)
class Original:
    """One conversation, before it is stored.

    Attributes:
        id: unique within its dataset.
        messages: as in ``Sample``.
        pictures: in the order of the ``{"type": "image"}`` parts of ``messages``; not opened yet.
        task: what is asked, where it is not the dataset's one task.
    """

    id: str
    messages: list[Message]
    pictures: tuple[Picture, ...] = ()
    task: str | None = None
