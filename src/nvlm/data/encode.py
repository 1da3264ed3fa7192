"""Pictures of prepared folders → stored features of the frozen encoder: each once, and resumable."""

import errno
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nvlm.data.encode_costs import MEASURED, Spent
from nvlm.data.feature_codecs import errors
from nvlm.data.picture_features import FeatureWriter, picture_id
from nvlm.data.progress import Progress
from nvlm.data.status_line import StatusLine, clock
from nvlm.data.stored import stored_fields, stored_samples
from nvlm.processing import NVLMImageProcessor
from nvlm.processing.images import ImageError, read_header
from nvlm.processing.tiling import Grid, choose_grid

Encoder = Callable[[Tensor], Tensor]
"""(V, 3, T, T) → (V, patches, channels), on the CPU."""


class Cuts(NamedTuple):
    """How pictures are cut.

    Attributes:
        images: settings of views.
        limits: of tiles; the first is that of training, the others are for samples with several pictures.
    """

    images: NVLMImageProcessor
    limits: Sequence[int]

    def grids(self, width: int, height: int, pictures: int) -> list[Grid]:
        """The grids in which training may want a picture of a sample with so many."""
        limits = self.limits if pictures > 1 else self.limits[:1]
        return list(dict.fromkeys(choose_grid(width, height, self.images.tile_size, limit) for limit in limits))

    def views(self, grid: Grid) -> int:
        """Of a picture cut by a grid."""
        return grid.tiles + (1 if self.images.thumbnail and grid.tiles > 1 else 0)


class Count(NamedTuple):
    """What there is to encode.

    Attributes:
        pictures, views: of all folders; equal pictures count each time.
        missing: views that are not stored, at most.
    """

    pictures: int
    views: int
    missing: int


def count_views(folders: Sequence[Path], cuts: Cuts, writer: FeatureWriter) -> Count:
    """Count from the sizes that stand in the shards; pictures are read only where some features are stored already."""
    pictures = views = missing = 0
    seen: set[bytes] = set()
    for folder in folders:
        progress = Progress(f"counting {folder.name}", None)
        samples = stored_samples(folder) if writer.pictures else ((fields, {}) for fields in stored_fields(folder))
        for number, (fields, parts) in enumerate(samples):
            sizes = fields["pictures"]
            for size in sizes:
                grids = cuts.grids(size["width"], size["height"], len(sizes))
                views += sum(map(cuts.views, grids))
                new = _new(parts[size["part"]], grids, writer, seen) if writer.pictures else grids
                missing += sum(map(cuts.views, new))
            pictures += len(sizes)
            progress.update(number)
        progress.close()
    return Count(pictures, views, missing)


def _new(data: bytes, grids: list[Grid], writer: FeatureWriter, seen: set[bytes]) -> list[Grid]:
    """The grids of a picture that are neither stored nor counted yet."""
    ids = {picture_id(data, grid): grid for grid in grids}
    fresh = {id: grid for id, grid in ids.items() if id not in writer and id not in seen}
    seen.update(fresh)
    return list(fresh.values())


def encode_folders(
    folders: Sequence[Path], cuts: Cuts, encoder: Encoder, writer: FeatureWriter, batch: int, total: int
) -> Spent:
    """Store the features of all pictures that have none yet.

    Args:
        batch: views that go through the encoder together.
        total: views to expect in the store in the end, at most, for the status line.

    Raises:
        OSError: the disk is full; what was stored before is whole.
    """
    spent, line = Spent(), _Line(total, writer.views)
    try:
        for together in _batches(_pictures(folders, cuts, writer, spent), batch):
            _store(together, cuts, encoder, writer, spent)
            line.update(writer)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise OSError(
            f"{writer.folder}: the disk is full; {writer.pictures:,} pictures are kept. Make room, and the same "
            "command goes on"
        ) from error
    finally:
        line.close()
    return spent


class _Line(StatusLine):
    """How many views are stored, how fast, and how long the rest takes; equal pictures may make it end early."""

    def __init__(self, total: int, start: int) -> None:
        super().__init__()
        self._total, self._start = total, start

    def update(self, writer: FeatureWriter) -> None:
        now = time.monotonic()
        if self.due(now):
            rate = (writer.views - self._start) / max(now - self._began, 1e-9)
            left = clock(max(0, self._total - writer.views) / max(rate, 1e-9))
            self.say(
                f"{writer.views:,}/{self._total:,} views  {rate:,.1f}/s  {left} left  {writer.pictures:,} pictures  "
                f"{writer.bad:,} unusable"
            )


class _Cut(NamedTuple):
    """A picture's id and views."""

    id: bytes
    views: NDArray[np.uint8]


def _pictures(folders: Sequence[Path], cuts: Cuts, writer: FeatureWriter, spent: Spent) -> Iterator[_Cut]:
    """The pictures that are not stored yet, each once, cut into views."""
    waiting: set[bytes] = set()
    for fields, parts in (sample for folder in folders for sample in stored_samples(folder)):
        for picture in fields["pictures"]:
            data = parts[picture["part"]]
            for grid in _grids(data, cuts, len(fields["pictures"])):
                id = picture_id(data, grid)
                if id in writer or id in waiting:
                    continue
                began = time.perf_counter()
                try:
                    views = cuts.images.views(cuts.images.load(data), grid)
                except ImageError as error:
                    writer.put_unusable(id, str(error))
                    continue
                spent.decode += time.perf_counter() - began
                waiting.add(id)
                yield _Cut(id, views)
        waiting = {id for id in waiting if id not in writer}


def _grids(data: bytes, cuts: Cuts, pictures: int) -> list[Grid]:
    """The grids of a picture; none where its header is no picture's: nobody will ask for its features."""
    try:
        header = read_header(data, cuts.images.limits)
    except ImageError:
        return []
    return cuts.grids(header.width, header.height, pictures)


def _batches(pictures: Iterator[_Cut], size: int) -> Iterator[list[_Cut]]:
    """As many pictures together as have ``size`` views or just more."""
    together: list[_Cut] = []
    for picture in pictures:
        together.append(picture)
        if sum(len(each.views) for each in together) >= size:
            yield together
            together = []
    if together:
        yield together


def _store(together: list[_Cut], cuts: Cuts, encoder: Encoder, writer: FeatureWriter, spent: Spent) -> None:
    counts = [len(each.views) for each in together]
    began = time.perf_counter()
    features = encoder(cuts.images.normalise(np.concatenate([each.views for each in together])))
    encoded = time.perf_counter()
    writer.add([each.id for each in together], features.split(counts))  # type: ignore[no-untyped-call]
    spent.write += time.perf_counter() - encoded
    spent.encode += encoded - began
    if writer.dtype == "fp8" and spent.views < MEASURED:
        half = features.to(torch.float16)
        spent.bits.append(errors(writer.decoded(half), half))
    spent.views += sum(counts)
