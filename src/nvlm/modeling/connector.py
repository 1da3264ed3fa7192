"""From the encoder's patches to the language model's width: pixel shuffle, then a projector (sections 4.1 and 4.5)."""

import math

from torch import Tensor, nn
from transformers.activations import ACT2FN

from nvlm.modeling.config import NVLMConfig
from nvlm.modeling.vision import grid_size

__all__ = ["Connector", "pixel_shuffle"]


def pixel_shuffle(features: Tensor, factor: int) -> Tensor:
    """Concatenate each `factor` x `factor` block of neighbouring patches on the channels; everything is row-major.

    This is the order that InternVL calls "v2": tokens are not transposed.

    Args:
        features: (V, grid², C)

    Returns:
        (V, (grid / factor)², factor² · C)
    """
    views, patches, channels = features.shape
    grid = math.isqrt(patches)
    if grid * grid != patches:
        raise ValueError(f"{patches} patches are not a square grid")
    if factor < 1 or grid % factor:
        raise ValueError(f"a pixel shuffle factor of {factor} does not divide a grid of {grid} x {grid} patches")
    side = grid // factor
    blocks = features.reshape(views, side, factor, side, factor, channels).transpose(2, 3)
    return blocks.reshape(views, side * side, factor * factor * channels)


class Connector(nn.Module):
    """Pixel shuffle and projector; one for the views in the sequence and in memory alike (section 4.4).

    The projector is LayerNorm → Linear → GELU → Linear, or LayerNorm → Linear with one layer; linear layers without
    bias.
    """

    def __init__(self, config: NVLMConfig) -> None:
        super().__init__()
        self.downsample = config.downsample
        grid = grid_size(config.vision_config)
        if config.downsample < 1 or grid % config.downsample:
            raise ValueError(f"downsample is {config.downsample} but the encoder's grid is {grid} x {grid} patches")
        width = config.vision_config.hidden_size * config.downsample**2
        out = config.text_config.hidden_size
        self.norm = nn.LayerNorm(width) if config.projector_norm else nn.Identity()
        if config.projector_depth == 1:
            self.projector: nn.Module = nn.Linear(width, out, bias=config.projector_bias)
        else:
            hidden = config.projector_hidden_size or config.text_config.intermediate_size
            self.projector = nn.Sequential(
                nn.Linear(width, hidden, bias=config.projector_bias),
                ACT2FN[config.projector_act],
                nn.Linear(hidden, out, bias=config.projector_bias),
            )

    def forward(self, features: Tensor) -> Tensor:
        """Patches (V, grid², C) → image tokens (V, tokens per view, D)."""
        projected: Tensor = self.projector(self.norm(pixel_shuffle(features, self.downsample)))
        return projected
