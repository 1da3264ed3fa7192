"""A store of frozen-encoder features: every picture is encoded once and read by all architectures and stages.

Append-only and resumable: what was written before an interruption is kept. The key names everything the features depend
on, and a store with another key is refused.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nvlm.data.feature_codecs import CODECS, Codec

KEY = "key.json"


class FeatureStore:
    """Features of pictures 0, 1, 2, … of one stream.

    Args:
        folder: of the store; made if it is not there.
        key: what the features depend on (encoder hash, stream, tile size …), as JSON values.
        shape: (patches, channels) of one view.
        codec: how features are written.
        write: whether pictures are to be added; what a writer left unfinished is then cut off.

    Raises:
        ValueError: the folder holds a store with another key.
    """

    def __init__(
        self,
        folder: Path,
        key: Mapping[str, Any],
        shape: tuple[int, int],
        codec: Codec = CODECS["fp16"],
        *,
        write: bool = True,
    ) -> None:
        self.folder, self._shape, self._codec = folder, shape, codec
        self._bytes = codec.size(*shape)
        self._offsets: NDArray[np.int64] = np.zeros(1, np.int64)
        self._features, self._ends = folder / f"features.{codec.suffix}", folder / "ends.i64"
        if write:
            folder.mkdir(parents=True, exist_ok=True)
            check_key(folder, key, write=True)
            self._features.touch()
            self._ends.touch()
            self._drop_unfinished()
        else:
            check_key(folder, key)
        self._reload()

    def __len__(self) -> int:
        """Pictures in the store."""
        return len(self._offsets) - 1

    @property
    def views(self) -> int:
        """Of all pictures."""
        return int(self._offsets[-1])

    def append(self, pictures: Sequence[Tensor]) -> None:
        """Add the features of the next pictures, each (views, patches, channels); they are on disk afterwards."""
        ends = self._offsets[-1] + np.cumsum([len(views) for views in pictures])
        with self._features.open("ab") as file:
            for views in pictures:
                file.write(self._codec.encode(views).numpy().tobytes())
            file.flush()
            os.fsync(file.fileno())
        with self._ends.open("ab") as file:
            file.write(ends.astype(np.int64).tobytes())
        self._offsets = np.concatenate([self._offsets, ends])

    def read(self, index: int, dtype: torch.dtype | None = torch.float32) -> Tensor:
        """Features of one picture: (views, patches, channels) in a dtype, or as they are stored."""
        first, last = int(self._offsets[index]), int(self._offsets[index + 1])
        raw = np.fromfile(self._features, np.uint8, (last - first) * self._bytes, offset=first * self._bytes)
        views = self._codec.decode(torch.from_numpy(raw.reshape(last - first, self._bytes)), *self._shape)
        return views if dtype is None else views.to(dtype)

    def keep(self, count: int) -> None:
        """Cut off all but the first pictures."""
        with self._ends.open("r+b") as file:
            file.truncate(8 * count)
        with self._features.open("r+b") as file:
            file.truncate(int(self._offsets[count]) * self._bytes)
        self._reload()

    def _drop_unfinished(self) -> None:
        """Cut both files back to the last picture that is whole in both."""
        self._reload()
        whole = self._features.stat().st_size // self._bytes
        self.keep(int(np.searchsorted(self._offsets[1:], whole, side="right")))

    def _reload(self) -> None:
        ends = np.fromfile(self._ends, np.int64)
        self._offsets = np.concatenate([np.zeros(1, np.int64), ends])


def check_key(folder: Path, key: Mapping[str, Any], *, write: bool = False) -> None:
    """Hold a folder's key against the one that is wanted; a writer puts it there where there is none.

    Raises:
        ValueError: they differ, or there is none to read.
    """
    path = folder / KEY
    if not path.exists():
        if not write:
            raise ValueError(f"{folder} holds no features; is it a folder that `nvlm data encode` wrote?")
        beside = path.with_name(path.name + ".part")
        beside.write_text(json.dumps(dict(key), indent=1), encoding="utf-8")
        beside.replace(path)
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    if found != key:
        odd = sorted(name for name in key.keys() | found.keys() if key.get(name) != found.get(name))
        raise ValueError(
            f"{path.parent} holds features made with another {', '.join(odd)} ({found.get(odd[0])!r} there, "
            f"{key.get(odd[0])!r} now); remove the folder to encode again"
        )
