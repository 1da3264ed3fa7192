"""A store of frozen-encoder features: every picture is encoded once and read by all architectures and stages.

Append-only and resumable: what was written before an interruption is kept. The key names everything the features depend
on, and a store with another key is refused.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


class FeatureStore:
    """Float16 features of pictures 0, 1, 2, … of one stream.

    Args:
        folder: of the store; made if it is not there.
        key: what the features depend on (encoder hash, stream, tile size …), as JSON values.
        shape: (patches, channels) of one view.

    Raises:
        ValueError: the folder holds a store with another key.
    """

    def __init__(self, folder: Path, key: dict[str, str | int], shape: tuple[int, int]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._view = shape
        self._bytes = 2 * shape[0] * shape[1]
        self._features, self._ends = folder / "features.f16", folder / "ends.i64"
        self._check(folder / "key.json", key)
        self._features.touch()
        self._ends.touch()
        self._drop_unfinished()
        self._reload()

    def __len__(self) -> int:
        """Pictures in the store."""
        return len(self._offsets) - 1

    def append(self, pictures: Sequence[Tensor]) -> None:
        """Add the features of the next pictures, each (views, patches, channels)."""
        ends = self._offsets[-1] + np.cumsum([len(views) for views in pictures])
        with self._features.open("ab") as file:
            for views in pictures:
                file.write(views.to(torch.float16).contiguous().numpy().tobytes())
        with self._ends.open("ab") as file:
            file.write(ends.astype(np.int64).tobytes())
        self._reload()

    def read(self, index: int) -> Tensor:
        """Features of one picture: float32 (views, patches, channels)."""
        first, last = int(self._offsets[index]), int(self._offsets[index + 1])
        raw = np.memmap(self._features, np.float16, "r", first * self._bytes, (last - first, *self._view))
        return torch.from_numpy(raw.astype(np.float32))

    def _check(self, path: Path, key: dict[str, str | int]) -> None:
        if not path.exists():
            path.write_text(json.dumps(key, indent=1), encoding="utf-8")
            return
        found = json.loads(path.read_text(encoding="utf-8"))
        if found != key:
            odd = sorted(name for name in key.keys() | found.keys() if key.get(name) != found.get(name))
            raise ValueError(
                f"{path.parent} holds features made with another {', '.join(odd)} ({found.get(odd[0])!r} there, "
                f"{key.get(odd[0])!r} now); remove the folder to encode again"
            )

    def _drop_unfinished(self) -> None:
        """Cut both files back to the last picture that is whole in both."""
        self._reload()
        whole = self._features.stat().st_size // self._bytes
        kept = int(np.searchsorted(self._offsets[1:], whole, side="right"))
        with self._ends.open("r+b") as file:
            file.truncate(8 * kept)
        with self._features.open("r+b") as file:
            file.truncate(int(self._offsets[kept]) * self._bytes)

    def _reload(self) -> None:
        ends = np.fromfile(self._ends, np.int64)
        self._offsets = np.concatenate([np.zeros(1, np.int64), ends])
