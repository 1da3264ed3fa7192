"""What a benchmark says while it runs."""

import sys
import time

from nvlm.data.status_line import StatusLine, clock


class Progress(StatusLine):
    """How far one benchmark is, how fast it goes, and how long it will take.

    Args:
        name: of the benchmark.
        total: questions in it.
        quiet: say nothing.
    """

    def __init__(self, name: str, total: int, quiet: bool = False) -> None:
        super().__init__()
        self.name, self.total, self._quiet = name, total, quiet
        self._first: int | None = None

    def begin(self, done: int) -> None:
        """Note that questions are asked from here on: what an earlier run answered says nothing of the speed."""
        if self._first is None:
            self._first, self._began = done, time.monotonic()

    def update(self, done: int) -> None:
        """Report that the first ``done`` questions are answered."""
        now = time.monotonic()
        if not self._quiet and self.due(now):
            self.say(self.line(done, now))

    def line(self, done: int, now: float) -> str:
        """The progress line after ``done`` questions."""
        rate = (done - (self._first or 0)) / max(1e-9, now - self._began)
        left = clock((self.total - done) / max(1e-9, rate))
        return f"{self.name} {done}/{self.total}  {rate:.2f} questions/s  {left} left"

    def close(self) -> None:
        """Wipe the line on the terminal: the scores stand in its place."""
        if self._open_line:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
            self._open_line = False
