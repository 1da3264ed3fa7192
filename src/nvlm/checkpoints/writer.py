"""A safetensors file written one tensor at a time, so that no more than one is in memory.

The format (https://github.com/huggingface/safetensors#format): the length of the header in eight bytes, the header in
JSON, padded with spaces to a multiple of eight, and the tensors without gaps. Larger types come first, for alignment,
and names in order, as the library itself writes them: the files are the same byte for byte.
"""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from nvlm.checkpoints.stored import Stored

__all__ = ["ShardWriter"]


class ShardWriter:
    """Writes `path` beside itself, and puts it in its place when all is written; if anything happens, nothing is left.

    Args:
        path: the file.
        tensors: what will be written to it, by name.
    """

    def __init__(self, path: Path, tensors: Mapping[str, Stored]) -> None:
        self._path, self._beside = path, path.with_name(f"{path.name}.part")
        header, self._starts = _header(tensors)
        self._left = {name: tensor.nbytes for name, tensor in tensors.items()}
        self._file = self._beside.open("wb")
        self._file.write(header)

    def write(self, name: str, tensor: Tensor) -> None:
        """Write one of the tensors, once."""
        content = tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy()
        expected = self._left.pop(name)
        assert content.nbytes == expected, f"{name}: {content.nbytes} bytes instead of {expected}"
        self._file.seek(self._starts[name])
        self._file.write(content.data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                assert not self._left, sorted(self._left)
                self._file.flush()
                os.fsync(self._file.fileno())
                self._beside.replace(self._path)
        finally:
            self._close()

    def _close(self) -> None:
        try:
            self._file.close()  # which writes what is buffered, and may find the disk full
        finally:
            self._beside.unlink(missing_ok=True)


def _header(tensors: Mapping[str, Stored]) -> tuple[bytes, dict[str, int]]:
    """The header, and where in the file each tensor starts."""
    order = sorted(tensors, key=lambda name: (-_item_size(tensors[name]), name))
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    starts, end = {}, 0
    for name in order:
        tensor = tensors[name]
        starts[name], end = end, end + tensor.nbytes
        entries[name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [starts[name], end]}
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    header = len(text).to_bytes(8, "little") + text
    return header, {name: len(header) + start for name, start in starts.items()}


def _item_size(tensor: Stored) -> float:
    return tensor.nbytes / max(1, math.prod(tensor.shape))
