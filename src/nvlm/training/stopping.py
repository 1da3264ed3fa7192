"""Being asked to stop: Ctrl-C, or SIGTERM as clusters send it before they take a machine away."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(Exception):
    """The run was asked to stop, and has saved where it stands.

    Attributes:
        signal: the number of the signal that asked; 0 where it was no signal.
    """

    def __init__(self, message: str, number: int = 0) -> None:
        super().__init__(message)
        self.signal = number


@contextmanager
def stop_requests() -> Iterator[Callable[[], int]]:
    """Turn Ctrl-C and SIGTERM into a question that the loop asks between steps; a second Ctrl-C stops at once.

    The answer is the signal's number, 0 while none came.
    """
    asked = 0

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked = number

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
