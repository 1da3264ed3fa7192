"""What a run says while it works: one line on a terminal, a line now and then elsewhere."""

import sys
import time


class Progress:
    """How far one benchmark is, how fast it goes, and how long it will take.

    Args:
        name: of the benchmark.
        total: questions in it.
        quiet: say nothing.
    """

    def __init__(self, name: str, total: int, quiet: bool = False) -> None:
        self.name, self.total, self._quiet = name, total, quiet
        self._terminal = sys.stderr.isatty()
        self._first: int | None = None
        self._began = self._shown = time.monotonic()
        self._open_line = False

    def begin(self, done: int) -> None:
        """Note that questions are asked from here on: what an earlier run answered says nothing of the speed."""
        if self._first is None:
            self._first, self._began = done, time.monotonic()

    def update(self, done: int) -> None:
        """Report that the first ``done`` questions are answered."""
        now = time.monotonic()
        if not self._quiet and now - self._shown >= (0.2 if self._terminal else 30):
            self._shown = now
            self._say(self.line(done, now))

    def line(self, done: int, now: float) -> str:
        """The progress line after ``done`` questions."""
        rate = (done - (self._first or 0)) / max(1e-9, now - self._began)
        left = int((self.total - done) / max(1e-9, rate))
        clock = f"{left // 3600}:{left % 3600 // 60:02d}:{left % 60:02d}"
        return f"{self.name} {done}/{self.total}  {rate:.2f} questions/s  {clock} left"

    def close(self) -> None:
        """Wipe the line on the terminal."""
        if self._open_line:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
            self._open_line = False

    def _say(self, line: str) -> None:
        if self._terminal:
            print(f"\r\x1b[2K{line}", end="", file=sys.stderr, flush=True)
            self._open_line = True
        else:
            print(line, file=sys.stderr, flush=True)
