"""The same modules on every rank, whatever its batch holds: batches without pictures get one that nobody reads.

Sharded modules exchange weights while they run, and gradients when they have run, so a rank whose batch skips the
encoder, the connector or cross-attention would leave the others waiting. It gets a blank view: without slots in the
sequence and without readers in memory it changes no output, and every gradient that it causes is zero, exactly.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nvlm.modeling.config import NVLMConfig
from nvlm.modeling.vision import grid_size

PIXELS, FEATURES = "pixel_values", "image_features"


class Shown(NamedTuple):
    """What a micro-batch, or any rank's micro-batch of the same pass, makes the model run."""

    pixels: bool
    features: bool
    memory: bool


def shown(batch: Any) -> Shown:
    """What a micro-batch holds."""
    if not isinstance(batch, Mapping):
        return Shown(False, False, False)
    memory = batch.get("memory_views")
    return Shown(
        batch.get(PIXELS) is not None, batch.get(FEATURES) is not None, memory is not None and memory.shape[1] > 0
    )


def complete(batch: dict[str, Any], config: NVLMConfig, wanted: Shown) -> None:
    """Add, in place, what other ranks' batches have and this one does not.

    Args:
        batch: a micro-batch for `NVLMForConditionalGeneration`.
        config: of the model.
        wanted: what any rank's batch of this pass has.

    Raises:
        ValueError: some ranks have pixels and others stored features.
    """
    if wanted.pixels and wanted.features:
        raise ValueError("some lanes give pixels and others stored features; a stage takes one of them")
    ids: Tensor = batch["input_ids"]
    rows, length = ids.shape
    has = shown(batch)
    if wanted.pixels and not has.pixels:
        tile = config.tile_size
        batch[PIXELS] = ids.new_zeros((1, 3, tile, tile), dtype=torch.float32)
    if wanted.features and not has.features:
        vision = config.vision_config
        batch[FEATURES] = ids.new_zeros((1, grid_size(vision) ** 2, vision.hidden_size), dtype=torch.float32)
    if (wanted.pixels or wanted.features) and config.places.in_sequence and batch.get("sequence_views") is None:
        batch["sequence_views"] = ids.new_full((rows, 1), -1)
    if wanted.memory and not has.memory:
        batch["memory_views"] = ids.new_full((rows, 1), -1)
        batch["cross_attention_mask"] = ids.new_zeros((rows, length, 1), dtype=torch.bool)
        if config.places.tags_in_memory:
            batch["memory_tag_ids"] = ids.new_full((rows, 1, 1), -1)
