"""Shards: samples in tar files, their pictures byte for byte, in the layout of WebDataset and megatron-energon.

A sample is the files ``KEY.json`` and ``KEY.0.jpg``, ``KEY.1.png`` …; KEY is the number of its row in its dataset.
The JSON holds what ``Sample`` holds, and of each picture the part and the size of the upright picture, from which tiles
are counted before anything is decoded. Beside ``shard-000000.tar`` stands ``shard-000000.tar.idx``: where each sample
begins, and where the last one ends, as 64-bit numbers.
"""

import contextlib
import io
import json
import os
import struct
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nvlm.data.energon import read_excluded
from nvlm.data.pictures import Checked
from nvlm.data.reading import tar_groups
from nvlm.data.sample import Sample
from nvlm.processing.images import open_image

PATTERN = "shard-*.tar"


def shard_name(number: int) -> str:
    """The name of a shard.

    >>> shard_name(3)
    'shard-000003.tar'
    """
    return f"shard-{number:06d}.tar"


class ShardWriter:
    """Writes one shard beside its place; ``finish`` moves it there, whole.

    Args:
        path: of the shard.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._beside = path.with_name(path.name + ".part")
        self._file = self._beside.open("wb")
        self._tar = tarfile.TarFile(fileobj=self._file, mode="w", format=tarfile.USTAR_FORMAT)
        self._offsets: list[int] = []

    def __len__(self) -> int:
        """Samples so far."""
        return len(self._offsets)

    @property
    def length(self) -> int:
        """Bytes so far."""
        return self._tar.offset

    def add(self, row: int, fields: Mapping[str, Any], pictures: Sequence[Checked]) -> None:
        """Append a sample: id, source, task and messages, and its pictures."""
        self._offsets.append(self._tar.offset)
        parts = [f"{number}.{picture.ending}" for number, picture in enumerate(pictures)]
        sizes = [
            {"part": part, "width": picture.width, "height": picture.height}
            for part, picture in zip(parts, pictures, strict=True)
        ]
        text = json.dumps({**fields, "pictures": sizes}, ensure_ascii=False)
        self._append(f"{row:09d}.json", text.encode("utf-8"))
        for part, picture in zip(parts, pictures, strict=True):
            self._append(f"{row:09d}.{part}", picture.data)

    def finish(self) -> None:
        """Put the shard and its index in their places; both are on disk afterwards."""
        offsets = [*self._offsets, self._tar.offset]
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self.path.with_suffix(".tar.idx").write_bytes(struct.pack(f"<{len(offsets)}Q", *offsets))
        self._beside.replace(self.path)

    def discard(self) -> None:
        """Drop what was written."""
        with contextlib.suppress(OSError):  # what is in the buffer may not fit on the disk
            self._file.close()
        self._beside.unlink(missing_ok=True)

    def _append(self, name: str, data: bytes) -> None:
        member = tarfile.TarInfo(name)  # without owner and time: the same samples make the same bytes
        member.size = len(data)
        self._tar.addfile(member, io.BytesIO(data))
        self._tar.members = []  # type: ignore[attr-defined]  # tarfile would keep every header


def read_shards(folder: Path) -> Iterator[tuple[str, Sample]]:
    """The samples of a prepared folder, each with its place ``SHARD/KEY``, but those that ``excluded.txt`` lists.

    Raises:
        ValueError: there is no shard, or one is damaged.
    """
    paths = sorted(folder.glob(PATTERN))
    if not paths:
        raise ValueError(f"{folder} has no shards; is it a folder that `nvlm data prepare` wrote?")
    excluded = read_excluded(folder)
    for path in paths:
        for key, parts in tar_groups(path):
            if (place := f"{path.name}/{key}") not in excluded:
                yield place, to_sample(parts)


def to_sample(parts: Mapping[str, bytes]) -> Sample:
    """A sample from its files (part name → bytes), its pictures opened but not decoded.

    Raises:
        ValueError: a part is missing, or a picture is none.
    """
    if "json" not in parts:
        raise ValueError(f"a sample has the parts {', '.join(parts)}, but no json")
    fields = json.loads(parts["json"])
    missing = [picture["part"] for picture in fields["pictures"] if picture["part"] not in parts]
    if missing:
        raise ValueError(f"{fields['id']}: the pictures {', '.join(missing)} are not in the shard")
    images = [open_image(parts[picture["part"]]) for picture in fields["pictures"]]
    return Sample(fields["id"], fields["source"], fields["task"], fields["messages"], images)
