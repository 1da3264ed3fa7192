"""Stored bytes → a sample laid out for packing, its pictures still encoded: only their headers are read."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nvlm.data.stream import Raw
from nvlm.processing import NVLMProcessor, Row
from nvlm.processing.budget import note_lowered, tile_budget
from nvlm.processing.images import read_header
from nvlm.processing.tiling import Grid, choose_grid

NO_LIMIT = 2**31
"""Tokens. How long a sample may be is the business of the plan of rows."""


@dataclass(frozen=True)
class LaidOut:
    """A sample of which everything is known but pixels.

    Attributes:
        raw: where it came from.
        row: its tokens.
        grids: of its pictures.
        pictures: their files' bytes.
    """

    raw: Raw
    row: Row
    grids: tuple[Grid, ...]
    pictures: tuple[bytes, ...]


class LayOut:
    """Lays out samples for one model.

    Args:
        processor: of the model.
        tokens: of a row: where several pictures do not fit into it, they get fewer tiles, as in `NVLMProcessor.encode`.
        max_tiles: of a picture, in place of the processor's.
        system: a system turn that is put before every conversation; shards hold none. Empty for none.
    """

    def __init__(self, processor: NVLMProcessor, tokens: int, max_tiles: int | None = None, system: str = "") -> None:
        self._processor, self._tokens = processor, tokens
        self._max_tiles = processor.image_processor.max_tiles if max_tiles is None else max_tiles
        self._before = [{"role": "system", "content": system}] if system else []

    def __call__(self, raw: Raw) -> LaidOut:
        """Lay out a sample.

        Raises:
            ValueError, KeyError, TypeError, …: it cannot be used, see `nvlm.data.prepare.UNUSABLE`.
        """
        fields = json.loads(raw.parts["json"])
        messages = [*self._before, *fields["messages"]]
        pictures = tuple(raw.parts[picture["part"]] for picture in fields["pictures"])
        row, grids = self._fit(messages, [self._size(data) for data in pictures])
        return LaidOut(raw, row, tuple(grids), pictures)

    def _fit(self, messages: Sequence[Mapping[str, Any]], sizes: Sequence[tuple[int, int]]) -> tuple[Row, list[Grid]]:
        """The row with as many tiles as there is room for, of the samples with several pictures."""

        def laid(tiles: int) -> tuple[Row, list[Grid]]:
            grids = [choose_grid(*size, self._processor.image_processor.tile_size, tiles) for size in sizes]
            return self._processor.layout(messages, grids, max_length=NO_LIMIT), grids

        given = self._max_tiles
        if len(sizes) > 1:
            given = tile_budget(self._max_tiles, lambda tiles: len(laid(tiles)[0]) <= self._tokens) or 1
        if given < self._max_tiles:
            note_lowered(len(sizes), self._max_tiles, given, self._tokens)
        return laid(given)

    def _size(self, data: bytes) -> tuple[int, int]:
        header = read_header(data, self._processor.image_processor.limits)
        return header.width, header.height
