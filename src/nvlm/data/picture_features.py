"""Features of any pictures, found by what the picture's file holds and the grid it is cut by.

A folder has ``key.json``, which says what all of its features depend on, and parts, each a `FeatureStore` with the ids
of its pictures beside it in ``pictures.ids``, 16 bytes each, in order. ``unusable.jsonl`` lists pictures that cannot
be decoded.
"""

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nvlm.data.feature_codecs import CODECS
from nvlm.data.features import KEY, FeatureStore, check_key
from nvlm.processing import NVLMImageProcessor
from nvlm.processing.images import ImageError
from nvlm.processing.tiling import Grid

PREPROCESSING = 1
"""Version of everything between a file and the encoder's input; changed when pixels change."""
IDS, UNUSABLE_LIST, PARTS = "pictures.ids", "unusable.jsonl", "part-*"
PART_BYTES = 4 * 10**9


def picture_id(data: bytes, grid: Grid) -> bytes:
    """What names a picture cut by a grid: 16 bytes of a hash of its file."""
    return blake2b(data, digest_size=16, salt=struct.pack("<II", *grid)).digest()


def weights_hash(model: nn.Module) -> str:
    """A short hash of a model's weights, the same in float32 and in bfloat16."""
    digest = sha256()
    for name, tensor in sorted(model.state_dict().items()):
        values = tensor.detach().to("cpu", torch.bfloat16) if tensor.is_floating_point() else tensor.cpu()
        digest.update(name.encode() + values.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def features_key(encoder: str, layer: int, images: NVLMImageProcessor) -> dict[str, Any]:
    """What the features of an encoder's layer depend on, but for how they are written.

    Args:
        encoder: its hash, see `weights_hash`.
        layer: that is read.
        images: settings of views.
    """
    return {
        "preprocessing": PREPROCESSING,
        "encoder": encoder,
        "layer": layer,
        "tile_size": images.tile_size,
        "thumbnail": images.thumbnail,
        "mean": list(images.mean),
        "std": list(images.std),
    }


class PictureFeatures:
    """The features of a folder, for reading.

    Args:
        folder: that `nvlm data encode` wrote.
        wanted: the key that the features must have, see `features_key`.

    Raises:
        ValueError: there are none, or they were made by another encoder or from other pixels.
    """

    def __init__(self, folder: Path, wanted: Mapping[str, Any]) -> None:
        self.folder = folder
        stored = read_key(folder)
        self._codec = CODECS[stored["dtype"]]
        check_key(folder, {**wanted, **{name: stored[name] for name in ("dtype", "patches", "channels")}})
        paths = sorted(path for path in folder.glob(PARTS) if (path / IDS).is_file())
        shape = (stored["patches"], stored["channels"])
        self._parts = [FeatureStore(path, stored, shape, self._codec, write=False) for path in paths]
        found = [_ids(path)[: len(part)] for path, part in zip(paths, self._parts, strict=True)]
        self._ids, self._places = _sorted(found)
        self._unusable = read_unusable(folder)

    def __len__(self) -> int:
        """Pictures in it."""
        return len(self._ids)

    def read(self, data: bytes, grid: Grid) -> Tensor:
        """Features of a picture: (views, patches, channels), in float16 or bfloat16.

        Raises:
            ImageError: the picture could not be decoded.
            ValueError: it was not encoded.
        """
        id = picture_id(data, grid)
        place = self._find(id)
        if place is None:
            if (reason := self._unusable.get(id.hex())) is not None:
                raise ImageError(reason)
            raise ValueError(
                f"{self.folder} has no features of a picture cut into {grid.cols} x {grid.rows} tiles; run "
                f"`nvlm data encode` again for all folders of the blend, with --max-tiles as in training "
                "(and with lower limits besides, where samples have several pictures)"
            )
        part, number = place
        return self._parts[part].read(number, dtype=None)

    def _find(self, id: bytes) -> tuple[int, int] | None:
        first, second = np.frombuffer(id, np.uint64)
        at = int(np.searchsorted(self._ids[:, 0], first))
        while at < len(self._ids) and self._ids[at, 0] == first:
            if self._ids[at, 1] == second:
                return int(self._places[at, 0]), int(self._places[at, 1])
            at += 1
        return None


class FeatureWriter:
    """Adds features of pictures to a folder.

    Args:
        folder: made if it is not there.
        key: see `features_key`.
        dtype: a name of `CODECS`.
        shape: (patches, channels) of a view.
        part_bytes: a part is followed by the next one when it has so many.

    Raises:
        ValueError: the folder holds other features.
    """

    def __init__(
        self, folder: Path, key: Mapping[str, Any], dtype: str, shape: tuple[int, int], part_bytes: int = PART_BYTES
    ) -> None:
        self.folder, self.dtype, self._shape, self._codec = folder, dtype, shape, CODECS[dtype]
        self._key = {**key, "dtype": dtype, "patches": shape[0], "channels": shape[1]}
        self._part_bytes = part_bytes
        folder.mkdir(parents=True, exist_ok=True)
        check_key(folder, self._key, write=True)
        cut_line(folder / UNUSABLE_LIST)
        self._known = {bytes.fromhex(id) for id in read_unusable(folder)}
        self.bad, self.pictures, self.views = len(self._known), 0, 0
        self._number = -1
        for number, _ in enumerate(sorted(folder.glob(PARTS))):
            self._open(number)
        if self._number < 0:
            self._open(0)

    def __contains__(self, id: bytes) -> bool:
        return id in self._known

    @property
    def view_bytes(self) -> int:
        """Bytes of a view on disk."""
        return self._codec.size(*self._shape)

    def add(self, ids: Sequence[bytes], features: Sequence[Tensor]) -> None:
        """Store pictures, each (views, patches, channels)."""
        if self._part.views * self.view_bytes >= self._part_bytes:
            self._open(self._number + 1)
        self._part.append(features)
        with (self._part.folder / IDS).open("ab") as file:
            file.write(b"".join(ids))
        self._count(ids, sum(map(len, features)))

    def put_unusable(self, id: bytes, reason: str) -> None:
        """Take down that a picture cannot be decoded."""
        with (self.folder / UNUSABLE_LIST).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"picture": id.hex(), "reason": reason}, ensure_ascii=False) + "\n")
        self._known.add(id)
        self.bad += 1

    def decoded(self, features: Tensor) -> Tensor:
        """Features as they will be read."""
        return self._codec.decode(self._codec.encode(features), *self._shape)

    def stored(self) -> Iterator[Tensor]:
        """The pictures of the part in work, read from disk."""
        return (self._part.read(number, dtype=None) for number in range(len(self._part)))

    def _open(self, number: int) -> None:
        """Open a part, and cut it back to what is whole in all of its files."""
        self._number = number
        self._part = FeatureStore(self.folder / f"part-{number:06d}", self._key, self._shape, self._codec)
        path = self._part.folder / IDS
        path.touch()
        whole = min(len(self._part), path.stat().st_size // 16)
        self._part.keep(whole)
        with path.open("r+b") as file:
            file.truncate(16 * whole)
        self._count([row.tobytes() for row in _ids(self._part.folder)], self._part.views)

    def _count(self, ids: Sequence[bytes], views: int) -> None:
        self._known.update(ids)
        self.pictures, self.views = self.pictures + len(ids), self.views + views


def read_key(folder: Path) -> dict[str, Any]:
    """What the features of a folder depend on.

    Raises:
        ValueError: it holds none.
    """
    path = folder / KEY
    if not path.is_file():
        raise ValueError(f"{folder} holds no features; is it a folder that `nvlm data encode` wrote?")
    key: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return key


def read_unusable(folder: Path) -> dict[str, str]:
    """Ids, in hexadecimal, of pictures that cannot be decoded, with the reason; a line that was cut off is left out."""
    path = folder / UNUSABLE_LIST
    lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
    entries = [json.loads(line) for line in lines if line.endswith(b"\n")]
    return {entry["picture"]: entry["reason"] for entry in entries}


def cut_line(path: Path) -> None:
    """Take the last line off a list if it was not written to its end."""
    if path.is_file():
        with path.open("r+b") as file:
            file.truncate(file.read().rfind(b"\n") + 1)


def _ids(part: Path) -> NDArray[np.uint64]:
    """The ids of a part, each as two numbers: (pictures, 2)."""
    found = np.fromfile(part / IDS, np.uint64)
    return found[: len(found) // 2 * 2].reshape(-1, 2)


def _sorted(parts: Sequence[NDArray[np.uint64]]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """All ids by their first number, and for each its part and its place in it."""
    ids = np.concatenate([np.zeros((0, 2), np.uint64), *parts])
    places = [np.stack([np.full(len(own), number), np.arange(len(own))], 1) for number, own in enumerate(parts)]
    order = np.argsort(ids[:, 0], kind="stable")
    return ids[order], np.concatenate([np.zeros((0, 2), np.int64), *places])[order]
