"""Samples of prepared folders as they are stored, nothing decoded: one after another, or by number."""

import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nvlm.data.energon import read_excluded
from nvlm.data.reading import tar_groups
from nvlm.data.shards import PATTERN
from nvlm.data.stream import Raw

Stored = tuple[dict[str, Any], dict[str, bytes]]
"""The fields of a sample's JSON, and its parts."""


def stored_samples(folder: Path) -> Iterator[Stored]:
    """The samples of a prepared folder, without those that ``excluded.txt`` lists.

    Raises:
        ValueError: there is no shard, or one is damaged.
    """
    excluded = read_excluded(folder)
    for path in _shards(folder):
        for key, parts in tar_groups(path):
            if f"{path.name}/{key}" not in excluded:
                yield json.loads(parts["json"]), parts


def stored_fields(folder: Path) -> Iterator[dict[str, Any]]:
    """The fields alone: pictures are not read.

    Raises:
        ValueError: there is no shard, or one is damaged.
    """
    excluded = read_excluded(folder)
    for path in _shards(folder):
        try:
            with tarfile.open(path, "r:") as shard:
                for member in shard:
                    key, _, part = member.name.partition(".")
                    file = shard.extractfile(member) if part == "json" else None
                    if file is not None and f"{path.name}/{key}" not in excluded:
                        yield json.load(file)
                    shard.members = []  # type: ignore[attr-defined]  # tarfile would keep every header of the shard
        except tarfile.TarError as error:
            raise ValueError(f"{path} is no readable tar: {error}; was it copied only in part?") from error


class StoredSamples(Sequence[Raw]):
    """The samples of a folder by their number: any of them is one read from its shard, by the shard's index.

    Training on a blend draws with `nvlm.data.stream`; this is for batches that are a function of the step.

    Args:
        folder: prepared, on this disk.

    Raises:
        ValueError: there is no shard, or samples are left out of the folder, which its indices do not show.
    """

    def __init__(self, folder: Path) -> None:
        if left_out := read_excluded(folder):
            raise ValueError(f"{folder} leaves out {len(left_out)} of its samples, so they cannot be read by number")
        self._folder = folder
        self._shards = _shards(folder)
        self._offsets = [np.fromfile(path.with_suffix(".tar.idx"), np.uint64) for path in self._shards]
        self._ends = np.cumsum([len(offsets) - 1 for offsets in self._offsets])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, number: int) -> Raw:  # type: ignore[override]
        """Sample ``number``, from 0 on."""
        if not 0 <= number < len(self):
            raise IndexError(f"{self._folder} has {len(self):,} samples, and no number {number:,}")
        shard = int(np.searchsorted(self._ends, number, side="right"))
        place = number - int(self._ends[shard]) + len(self._offsets[shard]) - 1
        begin, end = (int(offset) for offset in self._offsets[shard][place : place + 2])
        path = self._shards[shard]
        with path.open("rb") as file:
            file.seek(begin)
            read = io.BytesIO(file.read(end - begin))
        with tarfile.open(fileobj=read, mode="r:") as files:
            found = {member.name: files.extractfile(member) for member in files}
            parts = {name.partition(".")[2]: file.read() for name, file in found.items() if file is not None}
        return Raw(str(self._folder), path.name, next(iter(found)).partition(".")[0], parts, number)


def _shards(folder: Path) -> list[Path]:
    paths = sorted(folder.glob(PATTERN))
    if not paths:
        raise ValueError(f"{folder} has no shards; is it a folder that `nvlm data prepare` wrote?")
    return paths
