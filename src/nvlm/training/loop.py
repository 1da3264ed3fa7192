"""The training loop: the same for one process and for many, with checkpoints and exact resume."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from nvlm.training import checkpointing
from nvlm.training.curves import LOG
from nvlm.training.engine import Engine
from nvlm.training.lanes import Batch, Batches, StepBatches
from nvlm.training.plot import draw
from nvlm.training.progress import Progress
from nvlm.training.provenance import provenance
from nvlm.training.ranks import Ranks
from nvlm.training.run import Run
from nvlm.training.saving import Saver
from nvlm.training.sharding import recomputing
from nvlm.training.stages import Stage
from nvlm.training.stopping import Interrupted, stop_requests

__all__ = ["Interrupted", "train"]


def train(
    stage: Stage,
    model: nn.Module,
    batches: Batches[Batch] | Callable[[int], Sequence[Batch]],
    loss_of: Callable[[Batch], Tensor] | None,
    folder: Path,
    *,
    engine: Engine = Engine(),  # noqa: B008
    resume: bool = False,
    save_every: float = 300,
    evaluate: Callable[[], dict[str, float]] | None = None,
    evaluate_every: int = 0,
    stop_after: int | None = None,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Train ``model`` for ``stage``, on all processes that torchrun started (see `nvlm.training.ranks.processes`).

    The weights, the losses and the order of the samples do not depend on the number of processes, but for rounding.

    Args:
        stage: what to do.
        model: is trained in place, whole on every process or already sharded; what the stage does not name is frozen
            and in eval mode.
        batches: the stage's micro-batches by lane; or the batch of a step as a function of it, in one or several
            parts.
        loss_of: the scalar loss of a micro-batch; those of a step add up to its loss. None: ``model(**batch).loss``,
            with ``num_items_in_batch``, the supervised tokens of the step, in the batch.
        folder: of the run: checkpoints and ``log.jsonl``; all processes see the same.
        engine: how it runs.
        resume: continue from the newest readable checkpoint in ``folder``; without one, start.
        save_every: seconds between checkpoints; one is written at the end in any case.
        evaluate, evaluate_every: scores to log every so many steps.
        stop_after: stop after so many steps of the stage as if interrupted.
        about: the recipe and the like, for ``provenance.json`` beside every checkpoint.

    Raises:
        Interrupted: Ctrl-C or SIGTERM came (or ``stop_after`` was reached): the step was finished and saved.
        FileExistsError: ``folder`` holds a run and ``resume`` is false.
        ValueError: ``folder`` holds a run of another stage or of other settings, of an earlier version, or with other
            lanes; or the layout does not fit the model, the lanes or the processes.
        FloatingPointError: the loss or its gradient is not finite. Nothing of that step is applied or saved.
    """
    ranks = Ranks(engine.layout, next(model.parameters()).device)
    checkpoint = ranks.same(_begin(folder, stage, resume) if ranks.first else None)
    lanes: Batches[Batch] = StepBatches(batches, ranks.layout.ranks) if callable(batches) else batches
    run = Run(stage, model, lanes, loss_of or _own_loss(model), engine, ranks)
    if ranks.first:
        print(f"{stage.name}: {run.freezing}")
    first, before = 0, 0.0
    if checkpoint is not None:
        run.restore(checkpoint)
        first, before = checkpoint.step, float(checkpoint.numbers.get("seconds", 0.0))
    if first >= stage.steps:
        run.close()
        return
    made_with = provenance(about) if ranks.first else {}
    began = saved = time.monotonic()
    with (
        closing(run),
        _drawn(folder, ranks.first),
        closing(Saver(folder, ranks, engine.kept, engine.background, made_with)) as saver,
        closing(Progress(stage.name, stage.steps, folder, first, engine, quiet=not ranks.first)) as progress,
        recomputing(model, ranks.layout.recompute),
        stop_requests() as asked,
    ):
        for step in range(first, stage.steps):
            row = run.step(step)
            progress.update(step, stage.batch, row)
            if evaluate is not None and evaluate_every and (step + 1) % evaluate_every == 0:
                progress.scores(step, run.scores(evaluate))
            due = ranks.first and time.monotonic() - saved > save_every
            number, save, writing = ranks.largest([float(asked()), float(due), float(saver.writing)])
            stopping = number > 0 or (stop_after is not None and step + 1 == stop_after)
            if not writing:
                saver.finish()
            if step + 1 == stage.steps or stopping or save:
                saved = time.monotonic()
                progress.flush()
                run.save(saver, step + 1, before + saved - began)
            if step + 1 == stage.steps or stopping:
                saver.finish()
            if stopping and step + 1 < stage.steps:
                raise Interrupted(
                    f"{stage.name} stopped after step {step + 1} of {stage.steps} and saved; continue with --resume",
                    int(number),
                )


def _begin(folder: Path, stage: Stage, resume: bool) -> checkpointing.Checkpoint | None:
    """Where to begin; the folder is made."""
    folder.mkdir(parents=True, exist_ok=True)
    if checkpointing.steps(folder) and not resume:
        raise FileExistsError(
            f"{folder} already holds a run of {stage.name}; continue it with --resume or choose another folder"
        )
    return checkpointing.latest(folder) if resume else None


@contextmanager
def _drawn(folder: Path, wanted: bool) -> Iterator[None]:
    """Draw the curves when the run ends, however it does."""
    try:
        yield
    finally:
        if wanted and (folder / LOG).exists():
            draw(folder)


def _own_loss(model: nn.Module) -> Callable[[Any], Tensor]:
    def loss(batch: Any) -> Tensor:
        found: Tensor = model(**batch).loss
        return found

    return loss
