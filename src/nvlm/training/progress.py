"""What a run says while it works: one line on a terminal, a line now and then elsewhere, and JSONL always."""

import json
import math
import time
from pathlib import Path
from typing import Any

from nvlm.data.status_line import StatusLine, clock


class Progress(StatusLine):
    """Loss, samples per second and time left of one stage; ``log.jsonl`` holds every step once.

    Rows of steps that will be done again, after the checkpoint that a run resumes from, are taken out of the log.

    Args:
        name: of the stage.
        steps: in the whole stage.
        folder: where ``log.jsonl`` is appended to.
        start: the first step of this process: rates count from here.
    """

    def __init__(self, name: str, steps: int, folder: Path, start: int) -> None:
        super().__init__()
        self.name, self.steps, self.start = name, steps, start
        self._samples = 0
        self._smooth: float | None = None
        _forget(folder / "log.jsonl", start)
        self._log = (folder / "log.jsonl").open("a", encoding="utf-8")

    def update(self, step: int, loss: float, samples: int, **numbers: Any) -> None:
        """Report one finished step."""
        self._samples += samples
        self._smooth = loss if self._smooth is None else 0.95 * self._smooth + 0.05 * loss
        self._log.write(json.dumps({"step": step, "loss": loss, "samples": samples, **numbers}) + "\n")
        now = time.monotonic()
        last = step + 1 == self.steps
        if self.due(now) or last:
            self._log.flush()
            self.say(self.line(step, now), keep=last)

    def line(self, step: int, now: float) -> str:
        """The progress line after ``step``."""
        spent = max(1e-9, now - self._began)
        left = clock(spent / (step + 1 - self.start) * (self.steps - step - 1))
        rate = self._samples / spent
        return f"{self.name} {step + 1}/{self.steps}  loss {self._smooth:.3f}  {rate:.1f} samples/s  {left} left"

    def scores(self, step: int, scores: dict[str, float]) -> None:
        """Report an evaluation."""
        self._log.write(json.dumps({"step": step, "scores": scores}) + "\n")
        self._log.flush()
        listed = "  ".join(f"{name} {score:.3f}" for name, score in scores.items())
        self.say(f"{self.name} {step + 1}/{self.steps}  {listed}", keep=True)

    def flush(self) -> None:
        """Write the log up to here, so that it is never behind a checkpoint."""
        self._log.flush()

    def close(self) -> None:
        """Finish the log, and the line on the terminal."""
        self._log.close()
        super().close()


def _forget(path: Path, start: int) -> None:
    """Keep the readable rows of the steps before ``start``."""
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    beside = path.with_suffix(".part")
    beside.write_text("".join(line for line in lines if _step(line) < start), encoding="utf-8")
    beside.replace(path)


def _step(line: str) -> float:
    """The step of a row; infinity where it was cut off."""
    try:
        return int(json.loads(line)["step"]) if line.endswith("\n") else math.inf
    except (ValueError, KeyError, TypeError):
        return math.inf
