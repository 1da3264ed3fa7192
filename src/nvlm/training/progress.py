"""What a run says while it works: one line on a terminal, a line now and then elsewhere, and JSONL always."""

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from nvlm.data.status_line import StatusLine, clock
from nvlm.training.board import Board
from nvlm.training.curves import LOG
from nvlm.training.engine import Engine

DIGITS = 6


class Progress(StatusLine):
    """Loss, samples per second and time left of one stage; ``log.jsonl`` holds every step once.

    Rows of steps that will be done again, after the checkpoint that a run resumes from, are taken out of the log.

    Args:
        name: of the stage.
        steps: in the whole stage.
        folder: where ``log.jsonl`` is appended to.
        start: the first step of this process: rates count from here.
        engine: says what else is told.
        quiet: say and write nothing: another process does.
    """

    def __init__(
        self, name: str, steps: int, folder: Path, start: int, engine: Engine | None = None, quiet: bool = False
    ) -> None:
        super().__init__()
        self.name, self.steps, self.start, self.engine = name, steps, start, engine or Engine()
        self._samples = 0.0
        self._smooth: float | None = None
        self._log: IO[str] | None = None
        self._board: Board | None = None
        if not quiet:
            _forget(folder / LOG, start)
            self._log = (folder / LOG).open("a", encoding="utf-8")
            self._board = Board(folder, start) if self.engine.tensorboard else None

    def update(self, step: int, samples: int, row: Mapping[str, Any]) -> None:
        """Report one finished step.

        Args:
            samples: of a step, where the row's ``totals`` do not name them.
            row: what `Run.step` gave, or at least a ``loss``.
        """
        if self._log is None:
            return
        told = log_row(step, samples, row, self.engine)
        loss = float(row["loss"])
        self._samples += told["samples"]
        self._smooth = loss if self._smooth is None else 0.95 * self._smooth + 0.05 * loss
        self._log.write(json.dumps(told) + "\n")
        if self._board is not None:
            self._board.add(told)
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
        if self._log is None:
            return
        self._log.write(json.dumps({"step": step, "scores": scores}) + "\n")
        self._log.flush()
        listed = "  ".join(f"{name} {score:.3f}" for name, score in scores.items())
        self.say(f"{self.name} {step + 1}/{self.steps}  {listed}", keep=True)

    def flush(self) -> None:
        """Write the log up to here, so that it is never behind a checkpoint."""
        if self._log is not None:
            self._log.flush()

    def close(self) -> None:
        """Finish the log, and the line on the terminal."""
        if self._log is not None:
            self._log.close()
        if self._board is not None:
            self._board.close()
        super().close()


def log_row(step: int, samples: int, row: Mapping[str, Any], engine: Engine) -> dict[str, Any]:
    """The row of a step in ``log.jsonl``: what `Run.step` gave, with the rates that follow from it.

    ``tokens_per_second`` counts real tokens only, ``fill`` is their share of the room of the rows that went through the
    model, ``mfu`` the share of the machine's peak, ``mfu_without_vision`` the same without the encoder's work.
    """
    told = {"step": step, "loss": row["loss"], "samples": samples, **row}
    totals: dict[str, float] = told.pop("totals", {})
    seconds = told.get("seconds", 0.0)
    told["samples"] = int(totals.get("samples", samples))
    if seconds and totals:
        if engine.flops is not None:
            everything, without = engine.flops({"samples": told["samples"], **totals})
            told["mfu"] = everything / seconds / engine.peak
            told["mfu_without_vision"] = without / seconds / engine.peak
        for name in ("tokens", "images"):
            if name in totals:
                told[f"{name}_per_second"] = totals[name] / seconds
        if "tokens" in totals and totals.get("row_tokens"):
            told["fill"] = totals["tokens"] / totals["row_tokens"]
    kept: dict[str, Any] = _rounded({name: value for name, value in told.items() if value != {}})
    return kept | {"loss": row["loss"]}


def _rounded(value: Any) -> Any:
    """Floats with as many digits as are worth a place in the log."""
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


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
