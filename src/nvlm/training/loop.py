"""The training loop: one process, deterministic batches by step, checkpoints, exact resume."""

import math
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import TypeVar

import torch
from torch import Tensor, nn

from nvlm.training import checkpointing
from nvlm.training.freezing import freeze
from nvlm.training.optim import build_optimizers, set_rates
from nvlm.training.progress import Progress
from nvlm.training.stages import Stage

Batch = TypeVar("Batch")


class Interrupted(Exception):
    """The run was asked to stop, and has saved where it stands."""


def train(
    stage: Stage,
    model: nn.Module,
    batch_of: Callable[[int], Sequence[Batch]],
    loss_of: Callable[[Batch], Tensor],
    folder: Path,
    *,
    resume: bool = False,
    save_every: float = 300,
    evaluate: Callable[[], dict[str, float]] | None = None,
    evaluate_every: int = 0,
    stop_after: int | None = None,
) -> None:
    """Train ``model`` for ``stage``.

    Args:
        stage: what to do.
        model: is trained in place; what the stage does not name is frozen and in eval mode.
        batch_of: the batch of a step, in one or several parts whose gradients add up. The same step always gives the
            same batch, which is what makes a resumed run exact.
        loss_of: the scalar loss of a part; the parts' losses add up to the loss of the step.
        folder: of the run: checkpoints and ``log.jsonl``.
        resume: continue from the newest readable checkpoint in ``folder``; without one, start.
        save_every: seconds between checkpoints; one is written at the end in any case.
        evaluate, evaluate_every: scores to log every so many steps.
        stop_after: stop after so many steps of the stage as if interrupted.

    Raises:
        Interrupted: Ctrl-C or SIGTERM came (or ``stop_after`` was reached): the step was finished and saved.
        FileExistsError: ``folder`` holds a run and ``resume`` is false.
        ValueError: ``folder`` holds a run of another stage.
        FloatingPointError: the loss or its gradient is not finite. Nothing of that step is applied or saved.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if checkpointing.steps(folder) and not resume:
        raise FileExistsError(
            f"{folder} already holds a run of {stage.name}; continue it with --resume or choose another folder"
        )
    torch.manual_seed(stage.seed)
    model.train()
    print(f"{stage.name}: {freeze(model, stage.trainable)}")
    optimizers = build_optimizers(model, stage)
    checkpoint = checkpointing.latest(folder) if resume else None
    first, before = 0, 0.0
    if checkpoint is not None:
        if (found := checkpoint.numbers.get("stage")) != stage.name:
            raise ValueError(f"{folder} holds a run of the stage {found!r}, and not of {stage.name!r}; choose another")
        checkpointing.restore(checkpoint, model, optimizers)
        first, before = checkpoint.step, float(checkpoint.numbers.get("seconds", 0.0))
    if first >= stage.steps:
        return
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    began = saved = time.monotonic()
    with closing(Progress(stage.name, stage.steps, folder, first)) as progress, _stop_requests() as stop:
        for step in range(first, stage.steps):
            loss = _backward(batch_of(step), loss_of)
            norm = nn.utils.clip_grad_norm_(learning, stage.clip).item()
            for what, value in (("loss", loss), ("gradient norm", norm)):
                if not math.isfinite(value):
                    raise FloatingPointError(
                        f"the {what} of step {step} is {value}; lower the rate (now {stage.peak_lr})"
                    )
            set_rates(optimizers, stage, step)
            for optimizer in optimizers.values():
                optimizer.step()
                optimizer.zero_grad()
            progress.update(step, loss, stage.batch, norm=round(norm, 4), rate=round(stage.rate(step), 6))
            if evaluate is not None and evaluate_every and (step + 1) % evaluate_every == 0:
                progress.scores(step, _scores(model, stage, evaluate))
            stopping = stop() or (stop_after is not None and step + 1 == stop_after)
            if step + 1 == stage.steps or stopping or time.monotonic() - saved > save_every:
                saved = time.monotonic()
                numbers = {"stage": stage.name, "batch": stage.batch, "seconds": before + saved - began}
                progress.flush()
                checkpointing.save(folder, step + 1, model, optimizers, numbers)
            if stopping and step + 1 < stage.steps:
                raise Interrupted(
                    f"{stage.name} stopped after step {step + 1} of {stage.steps} and saved; continue with --resume"
                )


def _backward(parts: Sequence[Batch], loss_of: Callable[[Batch], Tensor]) -> float:
    total = 0.0
    for part in parts:
        loss = loss_of(part)
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.item()
    return total


def _scores(model: nn.Module, stage: Stage, evaluate: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Evaluate without touching the run: modes and the random generator are put back."""
    state = torch.get_rng_state()
    model.eval()
    with torch.inference_mode():
        scores = evaluate()
    model.train()
    freeze(model, stage.trainable)
    torch.set_rng_state(state)
    return scores


@contextmanager
def _stop_requests() -> Iterator[Callable[[], bool]]:
    """Turn Ctrl-C and SIGTERM into a question that the loop asks between steps; a second Ctrl-C stops at once."""
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked = True

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
