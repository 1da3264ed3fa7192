"""The log of a run as TensorBoard reads it (the extra ``tensorboard``)."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nvlm.training.curves import curves


class Board:
    """Writes every number of a step into ``tensorboard`` in the run's folder.

    Raises:
        ValueError: tensorboard is not installed.
    """

    def __init__(self, folder: Path, start: int) -> None:
        if find_spec("tensorboard") is None:
            raise ValueError("tensorboard is not installed (pip install 'nvlm[tensorboard]'); or leave it out")
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=start)

    def add(self, row: dict[str, Any]) -> None:
        """Write one row of the log."""
        for title, curve in curves([row]).items():
            for step, value in curve:
                self._writer.add_scalar(title.replace(", ", "/"), value, step)

    def close(self) -> None:
        """Finish the files."""
        self._writer.close()
