"""What a walk over a dataset says while it works."""

import time

from nvlm.data.status_line import StatusLine, clock


class Progress(StatusLine):
    """How many rows are done, how fast, and how long the rest takes where the number of rows is known.

    Args:
        name: of the dataset.
        total: rows, if that is known.
        start: rows that were done before: the rate counts from here.
    """

    def __init__(self, name: str, total: int | None, start: int = 0) -> None:
        super().__init__()
        self.name, self.total, self.start = name, total, start

    def update(self, done: int, more: str = "") -> None:
        """Report that ``done`` rows are done; ``more`` is said behind it."""
        now = time.monotonic()
        if self.due(now):
            self.say(self.line(done, now - self._began) + more)

    def line(self, done: int, spent: float) -> str:
        """The progress line after ``done`` rows and so many seconds."""
        rate = (done - self.start) / max(spent, 1e-9)
        said = f"{self.name} {done:,} rows  {rate:,.0f}/s"
        if self.total is None or done > self.total or not rate:
            return said
        left = clock((self.total - done) / rate)
        return f"{self.name} {done:,}/{self.total:,} rows  {rate:,.0f}/s  {left} left"
