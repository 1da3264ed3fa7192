"""Backbone stage 1: a small InternViT that names what each of its patches shows; `naming` has its third."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import InternVLVisionConfig, InternVLVisionModel

from nvlm.data.synthetic.canvas import Drawing
from nvlm.data.synthetic.dense import HEADS, IGNORED, dense_labels
from nvlm.data.synthetic.splits import Split
from nvlm.data.synthetic.tasks import PICTURE_TASKS, draw_problem
from nvlm.processing.normalise import normalise
from nvlm.processing.tiling import Grid, choose_grid, cut
from nvlm.recipes.nano.sizes import MAX_TILES, PATCH_SIZE, TILE_SIZE, VISION

EMPTY_WEIGHT = 0.25
"""Weight of patches that show nothing, against those that show something."""

VisionBatch = tuple[Tensor, dict[str, Tensor]]


class DenseReader(nn.Module):
    """The vision encoder with one linear head per dense label; the heads are thrown away after the stage."""

    def __init__(self) -> None:
        super().__init__()
        self.vision_model = InternVLVisionModel(InternVLVisionConfig(**VISION))
        nn.init.normal_(self.vision_model.embeddings.position_embeddings, std=0.02)
        self.heads = nn.ModuleDict({name: nn.Linear(VISION["hidden_size"], classes) for name, classes in HEADS.items()})

    def features(self, pixel_values: Tensor) -> Tensor:
        """Pixels (V, 3, T, T) → patches (V, grid², C)."""
        patches: Tensor = self.vision_model(pixel_values).last_hidden_state[:, 1:]
        return patches

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """Patches (V, grid², C) → logits (V, grid², classes) for every label."""
        return {name: head(features) for name, head in self.heads.items()}

    def loss(self, batch: VisionBatch) -> Tensor:
        """Mean cross-entropy over the labels; patches that show nothing count for less."""
        return self.dense_loss(self.features(batch[0]), batch[1])

    def dense_loss(self, features: Tensor, labels: dict[str, Tensor]) -> Tensor:
        """The loss of patches (V, grid², C)."""
        total = torch.zeros(())
        for name, logits in self(features).items():
            target = labels[name].flatten()
            each = F.cross_entropy(logits.flatten(0, 1), target, ignore_index=IGNORED, reduction="none")
            weight = torch.where(target > 0, 1.0, EMPTY_WEIGHT) * (target != IGNORED)
            total = total + (each * weight).sum() / weight.sum()
        return total


def vision_batch(split: Split, stream: str, first: int, count: int) -> VisionBatch:
    """Views and dense labels of ``count`` pictures of the blend, from the ``first``-th on."""
    return to_batch(list(drawings(split, stream, first, count)))


def to_batch(pictures: list[tuple[Drawing, Grid]]) -> VisionBatch:
    """Views and dense labels of pictures that are cut by their grids."""
    views, labels = [], []
    for drawing, grid in pictures:
        views.append(cut(drawing.image, grid, TILE_SIZE))
        labels.append(dense_labels(drawing.marks, *grid, TILE_SIZE, PATCH_SIZE))
    pixels = normalise(np.concatenate(views))
    joined = {name: torch.cat([torch.from_numpy(each[name]) for each in labels]).flatten(1) for name in HEADS}
    return pixels, joined


def drawings(split: Split, stream: str, first: int, count: int) -> Iterator[tuple[Drawing, Grid]]:
    """``count`` pictures of the blend with their tile grids, from the ``first``-th on."""
    for index in range(first, first + count):
        drawing = draw_problem(PICTURE_TASKS, split, stream, index).drawing
        assert drawing is not None
        yield drawing, choose_grid(*drawing.image.size, TILE_SIZE, MAX_TILES)


def vision_scores(reader: DenseReader, split: Split = "validation", pictures: int = 192) -> dict[str, float]:
    """Share of labelled patches that are named right on a held-out split, for every label that is seen."""
    right, seen = dict.fromkeys(HEADS, 0), dict.fromkeys(HEADS, 0)
    for first in range(0, pictures, 24):
        pixels, labels = vision_batch(split, "vision", first, min(24, pictures - first))
        for name, logits in reader(reader.features(pixels)).items():
            shown = labels[name] > 0
            right[name] += int((logits.argmax(-1)[shown] == labels[name][shown]).sum())
            seen[name] += int(shown.sum())
    return {name: right[name] / seen[name] for name in HEADS if seen[name]}
