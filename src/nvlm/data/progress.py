"""What a walk over a dataset says while it works: one line on a terminal, a line now and then elsewhere."""

import sys
import time


class Progress:
    """How many rows are done, how fast, and how long the rest takes where the number of rows is known.

    Args:
        name: of the dataset.
        total: rows, if that is known.
        start: rows that were done before: the rate counts from here.
    """

    def __init__(self, name: str, total: int | None, start: int = 0) -> None:
        self.name, self.total, self.start = name, total, start
        self._terminal = sys.stderr.isatty()
        self._began = self._shown = time.monotonic()
        self._open_line = False

    def update(self, done: int, more: str = "") -> None:
        """Report that ``done`` rows are done; ``more`` is said behind it."""
        now = time.monotonic()
        if now - self._shown >= (0.2 if self._terminal else 30):
            self._shown = now
            self._say(self.line(done, now - self._began) + more)

    def line(self, done: int, spent: float) -> str:
        """The progress line after ``done`` rows and so many seconds."""
        rate = (done - self.start) / max(spent, 1e-9)
        said = f"{self.name} {done:,} rows  {rate:,.0f}/s"
        if self.total is None or done > self.total or not rate:
            return said
        left = (self.total - done) / rate
        clock = f"{int(left // 3600)}:{int(left % 3600 // 60):02d}:{int(left % 60):02d}"
        return f"{self.name} {done:,}/{self.total:,} rows  {rate:,.0f}/s  {clock} left"

    def close(self) -> None:
        """Finish the line on the terminal."""
        if self._open_line:
            print(file=sys.stderr, flush=True)
            self._open_line = False

    def _say(self, line: str) -> None:
        print(f"\r\x1b[2K{line}" if self._terminal else line, end="" if self._terminal else "\n", file=sys.stderr)
        sys.stderr.flush()
        self._open_line = self._terminal
