"""When checkpoints are written: at once, or behind the steps that follow."""

from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple

import torch.distributed as dist
from torch import Tensor

from nvlm.training import checkpointing, tensor_files
from nvlm.training.ranks import Ranks


class Pending(NamedTuple):
    """A checkpoint whose tensors are being written."""

    beside: Path
    numbers: Mapping[str, Any]
    written: Future[Any]


class Saver:
    """Writes the checkpoints of a run, one after another; all processes call it together.

    Args:
        folder: of the run.
        kept: checkpoints that stay.
        background: training goes on while a checkpoint is written. It counts once `finish` was called.
        provenance: what the run is made with.
    """

    def __init__(self, folder: Path, ranks: Ranks, kept: int, background: bool, provenance: Mapping[str, Any]) -> None:
        self._folder, self._ranks, self._kept, self._provenance = folder, ranks, kept, provenance
        self._background = background
        self._group = dist.new_group(backend="gloo") if background and ranks.several else None
        self._pending: Pending | None = None

    def save(
        self,
        step: int,
        tensors: Mapping[str, Tensor],
        numbers: Mapping[str, Any],
        lanes: Mapping[int, dict[str, Any]],
    ) -> None:
        """Write the checkpoint after so many steps, or begin to."""
        if not self._background:
            checkpointing.save(
                self._folder,
                step,
                tensors,
                numbers,
                lanes=lanes,
                provenance=self._provenance,
                ranks=self._ranks,
                kept=self._kept,
            )
            return
        self.finish()
        beside = checkpointing.begin(self._folder, step, lanes, self._ranks)
        written = tensor_files.write_behind(beside / checkpointing.TENSORS, tensors, self._group)
        self._pending = Pending(beside, {"step": step, **numbers}, written)

    @property
    def writing(self) -> bool:
        """Whether this process still writes."""
        return self._pending is not None and not self._pending.written.done()

    def finish(self) -> None:
        """Wait for what is being written, and make it a checkpoint."""
        if self._pending is not None:
            self._pending.written.result()
            pending, self._pending = self._pending, None
            checkpointing.complete(pending.beside, pending.numbers, self._provenance, self._ranks, self._kept)

    def close(self) -> None:
        """Wait for what is being written; where something went wrong it may not become a checkpoint."""
        if self._pending is not None:
            self._pending.written.exception()
