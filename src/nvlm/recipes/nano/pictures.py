"""The pictures of both NVLM stages: drawn, encoded once by the frozen encoder, and read by all three architectures."""

import hashlib
import random
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.feature_extraction_utils import BatchFeature

from nvlm.data.features import FeatureStore
from nvlm.data.packing import Budget, RowPlanner, size_of
from nvlm.data.synthetic.problem import Problem
from nvlm.data.synthetic.tasks import PICTURE_TASKS, draw_problem, to_sample
from nvlm.data.synthetic.transcript import with_transcript
from nvlm.modeling.vision import encode
from nvlm.processing import NVLMProcessor, Row
from nvlm.processing.normalise import normalise
from nvlm.processing.tiling import Grid, choose_grid, cut
from nvlm.recipes.nano.alignment import shown_tokens
from nvlm.recipes.nano.language import text_rows
from nvlm.recipes.nano.sizes import MAX_TILES, PATCH_SIZE, TILE_SIZE, VISION

STREAM = "pictures"
ENCODED_TOGETHER = 32
SAID_EVERY = 1024
VIEWS_OF_A_PICTURE = 5.3
"""On average, over the blend of tasks."""
ROOM = Budget(2500)
"""Of a packed row; each is a part of a step's batch."""


def weights_hash(model: nn.Module) -> str:
    """A short hash of a model's weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def open_store(folder: Path, encoder: PreTrainedModel) -> FeatureStore:
    """The feature store of this encoder and this stream of pictures.

    Raises:
        ValueError: the folder holds features of another encoder.
    """
    key: dict[str, str | int] = {
        "encoder": weights_hash(encoder),
        "stream": STREAM,
        "tile": TILE_SIZE,
        "tiles": MAX_TILES,
    }
    return FeatureStore(folder, key, ((TILE_SIZE // PATCH_SIZE) ** 2, VISION["hidden_size"]))


def encode_pictures(store: FeatureStore, encoder: PreTrainedModel, count: int, say: Callable[[str], None]) -> None:
    """Append features until the store holds ``count`` pictures; what is there is kept, also after an interruption."""
    encoder.eval()  # type: ignore[no-untyped-call]
    began, first = time.monotonic(), len(store)
    if first < count:
        say(f"encoding pictures {first:,} to {count:,} into {store.folder}: about {_disk(count - first):.1f} GB")
    while len(store) < count:
        problems = [picture(index) for index in range(len(store), min(count, len(store) + ENCODED_TOGETHER))]
        views = [cut(_image(problem), grid_of(problem), TILE_SIZE) for problem in problems]
        with torch.inference_mode():
            features = encode(encoder, normalise(np.concatenate(views)))
        store.append(list(features.split([len(each) for each in views])))  # type: ignore[no-untyped-call]
        if len(store) // SAID_EVERY > (len(store) - len(problems)) // SAID_EVERY or len(store) == count:
            left = (time.monotonic() - began) / (len(store) - first) * (count - len(store))
            say(f"features {len(store):,}/{count:,}  {left / 60:.0f} min left")


def _disk(pictures: int) -> float:
    """Gigabytes that the features of so many pictures take."""
    patches, channels = (TILE_SIZE // PATCH_SIZE) ** 2, int(VISION["hidden_size"])
    return pictures * VIEWS_OF_A_PICTURE * patches * channels * 2 / 1e9


def picture(index: int) -> Problem:
    """The ``index``-th training picture with its turns, the last about all that it shows."""
    return with_transcript(draw_problem(PICTURE_TASKS, "train", STREAM, index))


def grid_of(problem: Problem) -> Grid:
    """The tile grid of a problem's picture."""
    return choose_grid(*_image(problem).size, TILE_SIZE, MAX_TILES)


class _Sample(NamedTuple):
    """A conversation of a step, laid out; its picture's index (``None``: text-only) and what image tokens show."""

    row: Row
    picture: int | None
    shown: Tensor | None


class MixedBatches:
    """Batches of pictures (as stored features) and text-only rows by step: the same samples for every architecture.

    Each part is one packed row of `ROOM`.

    Args:
        processor: of the architecture. With at most one tile a picture is its thumbnail alone.
        store: features of all pictures, with all of their views.
        batch: rows of a step.
        text: how many of them are text-only.
        seed: of the order of pictures in each pass over the store, and of the text-only rows.
        aligned: add ``shown_tokens``, what every image token shows, and ``share``, the part's share of the step's
            pictures, for the alignment loss.

    Raises:
        ValueError: the processor cuts pictures into other views than the store holds.
    """

    def __init__(
        self, processor: NVLMProcessor, store: FeatureStore, batch: int, text: int, seed: int, aligned: bool = True
    ) -> None:
        most: int = processor.image_processor.max_tiles
        if most not in (1, MAX_TILES):
            raise ValueError(f"the store holds views of up to {MAX_TILES} tiles; it has none of up to {most}")
        self._views = slice(-1, None) if most == 1 else slice(None)
        self._processor, self._store, self._seed, self._aligned = processor, store, seed, aligned
        self._batch, self._pictures, self._text = batch, batch - text, text

    def __call__(self, step: int) -> list[BatchFeature]:
        """The parts of ``step``'s batch, each with ``num_items_in_batch``, the supervised tokens of the whole step."""
        samples = [self._pictured(index) for index in self._indices(step)]
        stream = f"sft/{self._seed}" if self._seed else "sft"
        texts = text_rows("train", stream, step * self._text, self._text)
        samples += [_Sample(self._processor.layout(messages), None, None) for messages in texts]
        planned = RowPlanner(ROOM).rows((number, size_of(sample.row)) for number, sample in enumerate(samples))
        parts = [self._encode([samples[int(piece.key)] for piece in row]) for row in planned]
        supervised = sum(int((part["labels"] != -100).sum()) for part in parts)
        for part in parts:
            part["num_items_in_batch"] = supervised
        return parts

    def _indices(self, step: int) -> list[int]:
        count = len(self._store)
        places = range(step * self._pictures, (step + 1) * self._pictures)
        return [_order(self._seed, place // count, count)[place % count] for place in places]

    def _pictured(self, index: int) -> _Sample:
        problem = picture(index)
        grid = grid_of(problem)
        assert problem.drawing is not None
        shown = None
        if self._aligned:
            shown = shown_tokens(problem.drawing.marks, *grid, self._processor.tokenizer)[self._views]
        seen = Grid(1, 1) if self._views.start else grid
        return _Sample(self._processor.layout(to_sample(problem, str(index)).messages, [seen]), index, shown)

    def _encode(self, samples: list[_Sample]) -> BatchFeature:
        """One packed row."""
        batch = self._processor.encode_packed([[sample.row for sample in samples]])
        features = [self._store.read(sample.picture)[self._views] for sample in samples if sample.picture is not None]
        if features:
            batch["image_features"] = torch.cat(features)
        shown = [sample.shown for sample in samples if sample.shown is not None]
        if shown:
            batch["shown_tokens"], batch["share"] = torch.cat(shown), len(shown) / self._pictures
        return batch


@lru_cache(maxsize=1)
def _order(seed: int, epoch: int, count: int) -> list[int]:
    """The order of pictures in one pass: with seed 0 as drawn in the first, else shuffled."""
    order = list(range(count))
    if epoch or seed:
        random.Random(f"{seed}/{epoch}").shuffle(order)
    return order


def _image(problem: Problem) -> Image.Image:
    assert problem.drawing is not None, "a picture task drew nothing"
    return problem.drawing.image
