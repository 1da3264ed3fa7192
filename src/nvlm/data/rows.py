"""Planned rows → a micro-batch: pictures are decoded here, or their stored features read."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch

from nvlm.data.laid_out import LaidOut
from nvlm.data.packing import Piece, cut
from nvlm.data.picture_features import PictureFeatures
from nvlm.processing import NVLMProcessor, Row
from nvlm.processing.images import ImageError


class Placed(NamedTuple):
    """A piece of a sample in a row."""

    sample: LaidOut
    piece: Piece


class Made(NamedTuple):
    """What became of planned rows.

    Attributes:
        batch: for the model; ``None`` if no sample of it could be used.
        counts: per source samples, tokens, supervised, images and tiles (views, thumbnails included) that are in it.
        spans: source and supervised tokens of the samples in it, in their order.
        broken: samples whose pictures cannot be decoded, with the reason.
    """

    batch: dict[str, Any] | None
    counts: dict[str, Counter[str]]
    spans: list[tuple[str, int]]
    broken: list[tuple[LaidOut, str]]


class Views(Protocol):
    """What stands for a sample's pictures in a micro-batch."""

    def read(self, sample: LaidOut) -> list[Any]:
        """The views of each picture.

        Raises:
            ImageError: a picture cannot be used.
        """
        ...

    def put(self, processor: NVLMProcessor, rows: list[list[Row]], views: list[Any]) -> dict[str, Any]:
        """The packed batch with these views."""
        ...


class PixelViews:
    """Pixels: pictures are decoded and cut into views.

    Args:
        processor: whose image processor does it.
    """

    def __init__(self, processor: NVLMProcessor) -> None:
        self._images = processor.image_processor

    def read(self, sample: LaidOut) -> list[Any]:
        """For each picture uint8 (views, T, T, 3)."""
        pairs = zip(sample.pictures, sample.grids, strict=True)
        return [self._images.views(self._images.load(data), grid) for data, grid in pairs]

    def put(self, processor: NVLMProcessor, rows: list[list[Row]], views: list[Any]) -> dict[str, Any]:
        """With ``pixel_values`` where there are views."""
        return dict(processor.encode_packed(rows, views))


class FeatureViews:
    """Features of the frozen encoder, as `nvlm data encode` stored them.

    Args:
        store: of the features.
    """

    def __init__(self, store: PictureFeatures) -> None:
        self.store = store

    def read(self, sample: LaidOut) -> list[Any]:
        """For each picture float (views, patches, channels)."""
        return [self.store.read(data, grid) for data, grid in zip(sample.pictures, sample.grids, strict=True)]

    def put(self, processor: NVLMProcessor, rows: list[list[Row]], views: list[Any]) -> dict[str, Any]:
        """With ``image_features`` where there are views."""
        batch = dict(processor.encode_packed(rows))
        return batch | ({"image_features": torch.cat(views)} if views else {})


def make_batch(processor: NVLMProcessor, views: Views, rows: Sequence[Sequence[Placed]]) -> Made:
    """Build a micro-batch as `NVLMProcessor.encode_packed` gives it; what is broken stays out of it."""
    counts: dict[str, Counter[str]] = {}
    spans: list[tuple[str, int]] = []
    broken: list[tuple[LaidOut, str]] = []
    kept: list[list[Row]] = []
    found: list[Any] = []
    for row in rows:
        own: list[Row] = []
        for sample, piece in row:
            try:
                found += views.read(sample)
            except ImageError as error:
                broken.append((sample, str(error)))
                continue
            own.append(cut(sample.row, piece))
            counted = _counts(sample, piece, own[-1])
            counts.setdefault(sample.raw.source, Counter()).update(counted)
            spans.append((sample.raw.source, counted["supervised"]))
        if own:
            kept.append(own)
    if not kept:
        return Made(None, counts, spans, broken)
    return Made(views.put(processor, kept, found), counts, spans, broken)


def _counts(sample: LaidOut, piece: Piece, row: Row) -> dict[str, int]:
    return {
        "samples": int(piece.first == 0),
        "tokens": len(row),
        "supervised": int(row.supervised[1:].sum()),
        "images": len(sample.grids),
        "tiles": len(row.all_views),
    }
