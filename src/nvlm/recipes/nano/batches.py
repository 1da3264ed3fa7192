"""The batches of the stages on the backbones: drawn pictures from shards, their features, text-only rows; packed."""

import json
import random
from functools import lru_cache
from typing import Any

import torch
from transformers.feature_extraction_utils import BatchFeature

from nvlm.data.laid_out import LaidOut, LayOut
from nvlm.data.packing import Budget, Piece, RowPlanner, size_of
from nvlm.data.rows import FeatureViews, Placed, make_batch
from nvlm.data.stream import Raw
from nvlm.data.synthetic.text import TEXT_TASKS, TextTask
from nvlm.processing import NVLMProcessor
from nvlm.processing.images import read_header
from nvlm.processing.tiling import choose_grid
from nvlm.recipes.nano.alignment import shown_tokens
from nvlm.recipes.nano.language import text_rows
from nvlm.recipes.nano.pictures import Pictures, explained, marks_of
from nvlm.recipes.nano.sizes import MAX_TILES, TILE_SIZE

ROOM = Budget(2500)
"""Of a packed row; each is a part of a step's batch."""


class MixedBatches:
    """Batches of pictures (as stored features) and text-only rows by step: the same samples for every architecture.

    A blend of `nvlm.data.loader` fills rows, so its steps hold more samples where rows are shorter; to compare
    architectures a step has a number of samples, and as many rows of `ROOM` as they need. Each row is a part.

    Args:
        processor: of the architecture. With at most one tile a picture is its thumbnail alone.
        pictures: with the features of all of their views.
        batch: samples of a step.
        text: how many of them are text-only.
        seed: of the order of pictures in each pass over them, and of the text-only rows.
        aligned: add ``shown_tokens``, what every image token shows, and ``share``, the part's share of the step's
            pictures, for the alignment loss.
        explain: answers about pictures say first what they rest on.
        tasks: of the text-only rows.

    Raises:
        ValueError: the processor cuts pictures into other views than the features are of.
    """

    def __init__(
        self,
        processor: NVLMProcessor,
        pictures: Pictures,
        batch: int,
        text: int,
        seed: int,
        aligned: bool = True,
        explain: bool = False,
        tasks: dict[str, tuple[TextTask, float]] = TEXT_TASKS,
    ) -> None:
        most: int = processor.image_processor.max_tiles
        if most not in (1, MAX_TILES):
            raise ValueError(f"there are features of up to {MAX_TILES} tiles; there are none of up to {most}")
        self._views = (ThumbnailViews if most == 1 else FeatureViews)(pictures.features)
        self._processor, self._pictures, self._seed = processor, pictures, seed
        self._aligned, self._explain, self._tasks = aligned, explain, tasks
        self._lay_out = LayOut(processor, ROOM.tokens)
        self._pictured, self._text = batch - text, text

    def __call__(self, step: int) -> list[BatchFeature]:
        """The parts of ``step``'s batch, each with ``num_items_in_batch``, the supervised tokens of the whole step."""
        samples = [self._lay_out(raw) for raw in (*self._drawn(step), *self._texts(step))]
        planner = RowPlanner(ROOM)
        planned = list(planner.rows((number, size_of(sample.row)) for number, sample in enumerate(samples)))
        assert not planner.report.too_long, f"step {step} has samples of more than {ROOM.tokens} tokens"
        parts = [self._part([samples[int(piece.key)] for piece in row]) for row in planned]
        supervised = sum(int((part["labels"] != -100).sum()) for part in parts)
        for part in parts:
            part["num_items_in_batch"] = supervised
        return parts

    def _drawn(self, step: int) -> list[Raw]:
        count = len(self._pictures)
        places = range(step * self._pictured, (step + 1) * self._pictured)
        drawn = [self._pictures.samples[_order(self._seed, place // count, count)[place % count]] for place in places]
        return list(map(explained, drawn)) if self._explain else drawn

    def _texts(self, step: int) -> list[Raw]:
        """Text-only rows: drawn when they are wanted, none twice."""
        stream = f"sft/{self._seed}" if self._seed else "sft"
        rows = text_rows("train", stream, step * self._text, self._text, self._tasks)
        return [
            Raw("text", "", str(number), {"json": json.dumps({"messages": row, "pictures": []}).encode()}, None)
            for number, row in enumerate(rows)
        ]

    def _part(self, samples: list[LaidOut]) -> BatchFeature:
        """One packed row."""
        row = [Placed(sample, Piece(0, 0, len(sample.row))) for sample in samples]
        made = make_batch(self._processor, self._views, [row])
        assert made.batch is not None and not made.broken, "a drawn picture cannot be read"
        batch = made.batch | {"accounting": {**made.counts, "row_tokens": ROOM.tokens, "spans": made.spans}}
        if "image_features" in batch:
            batch["image_features"] = batch["image_features"].float()
            if self._aligned:
                batch |= self._shown([sample for sample in samples if sample.grids])
        return BatchFeature(batch)

    def _shown(self, samples: list[LaidOut]) -> dict[str, Any]:
        tokenizer = self._processor.tokenizer
        shown = [shown_tokens(marks_of(sample.raw), *sample.grids[0], tokenizer) for sample in samples]
        return {"shown_tokens": torch.cat(shown), "share": len(samples) / self._pictured}


class ThumbnailViews(FeatureViews):
    """Of each picture its thumbnail alone, which is the last of the views that are stored."""

    def read(self, sample: LaidOut) -> list[Any]:
        """For each picture float (1, patches, channels)."""
        headers = [read_header(data) for data in sample.pictures]
        grids = [choose_grid(header.width, header.height, TILE_SIZE, MAX_TILES) for header in headers]
        return [self.store.read(data, grid)[-1:] for data, grid in zip(sample.pictures, grids, strict=True)]


@lru_cache(maxsize=1)
def _order(seed: int, epoch: int, count: int) -> list[int]:
    """The order of pictures in one pass: with seed 0 as drawn in the first, else shuffled."""
    order = list(range(count))
    if epoch or seed:
        random.Random(f"{seed}/{epoch}").shuffle(order)
    return order
