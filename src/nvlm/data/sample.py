"""The contract of all data: a sample is pictures and a conversation about them."""

from dataclasses import dataclass, field
from typing import Any

from PIL import Image

Message = dict[str, Any]
"""A turn as chat templates know it: ``{"role": "user" | "assistant" | "system", "content": str | list of parts}``."""


@dataclass(frozen=True)
class Sample:
    """One conversation, with the pictures it talks about.

    Attributes:
        id: unique within its source, and enough to make or find the sample again.
        source: the dataset it came from, for per-source accounting.
        task: what is asked, for per-task scores.
        images: pictures in the order of the ``{"type": "image"}`` parts of ``messages``; empty for text-only samples.
        messages: roles and text with image places.
    """

    id: str
    source: str
    task: str
    messages: list[Message]
    images: list[Image.Image] = field(default_factory=list)
