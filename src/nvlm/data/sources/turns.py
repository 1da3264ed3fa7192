"""Messages: pictures stand in the first turn of the user, before its text."""

from collections.abc import Iterable
from typing import Any

from nvlm.data.sample import Message


def dialogue(turns: Iterable[tuple[str, str]], pictures: int = 1) -> list[Message]:
    """(question, answer) pairs as messages, the pictures before the first question."""
    messages: list[Message] = []
    for question, answer in turns:
        images: list[dict[str, Any]] = [{"type": "image"}] * (0 if messages else pictures)
        content = [*images, {"type": "text", "text": question}] if images else question
        messages += [{"role": "user", "content": content}, {"role": "assistant", "content": str(answer)}]
    return messages


def ask(question: str, answer: str, pictures: int = 1) -> list[Message]:
    """One question with its answer."""
    return dialogue([(question, answer)], pictures)
