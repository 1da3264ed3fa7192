"""What long work says meanwhile: one line on a terminal that is written over, a line now and then elsewhere."""

import sys
import time

TERMINAL_PAUSE, PAUSE = 0.2, 30.0
"""Seconds between two lines, on a terminal and elsewhere."""


class StatusLine:
    """One line on stderr. What it says is up to the classes that derive from it."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._began = self._shown = time.monotonic()
        self._open_line = False

    def due(self, now: float) -> bool:
        """Whether it is time to say something; the pause then begins anew."""
        if now - self._shown < (TERMINAL_PAUSE if self._terminal else PAUSE):
            return False
        self._shown = now
        return True

    def say(self, line: str, *, keep: bool = False) -> None:
        """Say it; on a terminal the next line is written over it, unless it is to be kept."""
        self._open_line = self._terminal and not keep
        start = "\r\x1b[2K" if self._terminal else ""
        print(start + line, end="" if self._open_line else "\n", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Finish a line that is still open."""
        if self._open_line:
            print(file=sys.stderr, flush=True)
            self._open_line = False


def clock(seconds: float) -> str:
    """Hours, minutes and seconds."""
    return f"{int(seconds // 3600)}:{int(seconds % 3600 // 60):02d}:{int(seconds % 60):02d}"
