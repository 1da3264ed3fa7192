"""Any transformers vision encoder as one function: pixels in, a square grid of patch features out (section 4.1).

An encoder fits when its last tokens are a square, row-major grid of patches: `InternVLVisionModel` (InternViT-300M
and, with qk-norm, RMS norm and layer scale, the 6B), `SiglipVisionModel`, `CLIPVisionModel`, `Dinov2Model` and its
form with registers. Whatever stands before the grid (class token, registers) is dropped. SigLIP 2 comes in two forms:
the fixed-resolution checkpoints load in the `Siglip` classes, the flexible ones in `Siglip2VisionModel`, which takes
patches instead of pixels; both work here at one square resolution.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig

__all__ = ["encode", "grid_size", "image_size"]


def _side(config: PreTrainedConfig, name: str) -> int:
    """A side length that some configurations hold as a number and some as (height, width)."""
    value = getattr(config, name)
    height, width = (value, value) if isinstance(value, int) else value
    if height != width:
        raise ValueError(f"{name} of {type(config).__name__} is {height} x {width}: a view is a square")
    return int(height)


def grid_size(config: PreTrainedConfig) -> int:
    """Patches along one side of a view."""
    if hasattr(config, "image_size"):
        return _side(config, "image_size") // _side(config, "patch_size")
    if hasattr(config, "num_patches"):
        return math.isqrt(config.num_patches)
    raise ValueError(f"{type(config).__name__} has neither image_size nor num_patches: it has no patch grid to read")


def image_size(config: PreTrainedConfig) -> int:
    """Pixels along one side of a view."""
    if hasattr(config, "image_size"):
        return _side(config, "image_size")
    return grid_size(config) * _side(config, "patch_size")


def encode(vision_model: nn.Module, pixel_values: Tensor, layer: int = -1) -> Tensor:
    """Patch features of every view, row-major, without class and register tokens.

    Args:
        pixel_values: (V, 3, T, T), normalised.
        layer: index into the encoder's hidden states; -1 is the encoder's own output.

    Returns:
        (V, grid², C)
    """
    config: Any = vision_model.config
    patches = grid_size(config) ** 2
    inputs = _patched(pixel_values, config) if hasattr(config, "num_patches") else {"pixel_values": pixel_values}
    outputs = vision_model(**inputs, output_hidden_states=layer != -1)
    tokens: Tensor = outputs.last_hidden_state if layer == -1 else outputs.hidden_states[layer]
    if tokens.shape[1] < patches:
        raise ValueError(
            f"{type(vision_model).__name__} gave {tokens.shape[1]} tokens for a view of {patches} patches; "
            "does it pool or merge patches itself?"
        )
    return tokens[:, tokens.shape[1] - patches :]


def _patched(pixel_values: Tensor, config: Any) -> dict[str, Tensor]:
    """The arguments of `Siglip2VisionModel`, which takes flattened patches (rows, columns, channels) and their grid."""
    grid, patch = grid_size(config), _side(config, "patch_size")
    views, channels = pixel_values.shape[:2]
    cut = pixel_values.reshape(views, channels, grid, patch, grid, patch).permute(0, 2, 4, 3, 5, 1)
    device = pixel_values.device
    return {
        "pixel_values": cut.reshape(views, grid * grid, patch * patch * channels),
        "pixel_attention_mask": torch.ones(views, grid * grid, dtype=torch.int64, device=device),
        "spatial_shapes": torch.full((views, 2), grid, dtype=torch.int64, device=device),
    }
