"""Memory of one GPU while it trains, by component."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from nvlm.modeling.config import NVLMConfig
from nvlm.planning.activations import Activations
from nvlm.planning.parameters import CONNECTOR, CROSS, EMBEDDINGS, HEAD, LAYERS, VISION, Count
from nvlm.planning.sharding import Layout

__all__ = ["MIXED", "SINGLE", "Memory", "Precision", "gpu_memory"]


@dataclass(frozen=True)
class Precision:
    """Bytes of a parameter: its weight while it learns and while it is frozen, its gradient, and a running average of
    the optimiser.

    Attributes:
        compute: what layers compute in. Where it is not the weights' own type, a layer's weights are there a second
            time while they are used.
        sums: bytes of a gradient's element while it is summed over the GPUs.
    """

    learning: int
    frozen: int
    gradient: int
    moment: int
    sums: int
    compute: torch.dtype


MIXED = Precision(learning=4, frozen=2, gradient=4, moment=4, sums=4, compute=torch.bfloat16)
"""FSDP2's mixed precision: weights that learn in float32, bf16 copies of the layer in use."""
SINGLE = Precision(learning=4, frozen=4, gradient=4, moment=4, sums=0, compute=torch.float32)
"""One process in float32, as on a CPU."""


@dataclass(frozen=True)
class Memory:
    """Bytes on one GPU.

    Attributes:
        weights, gradients, optimiser: its share of them.
        buffers: whole layers while they are in use, and a layer's whole gradient before it is summed over the GPUs.
        activations: what is kept for the backward pass.
        backward: what the backward pass of one layer needs beside that.
        logits: what the loss needs.
        vision: what the encoder needs while it runs.
        features: what the encoder gives.
    """

    weights: int
    gradients: int
    optimiser: int
    buffers: int
    activations: int
    backward: int
    logits: int
    vision: int
    features: int

    @property
    def peak(self) -> int:
        """The most that is there at once: the encoder runs before the decoder, the loss before the backward pass."""
        state = self.weights + self.gradients + self.optimiser + self.buffers + self.features
        return state + max(self.vision, self.activations + max(self.backward, self.logits))


def gpu_memory(
    config: NVLMConfig,
    parts: Mapping[str, Count],
    activations: Activations,
    layout: Layout,
    moments: int = 2,
    precision: Precision = MIXED,
) -> Memory:
    """Memory of one of the layout's GPUs; the vision encoder and the embeddings are not cut by tensor parallelism.

    Args:
        moments: running averages that the optimiser keeps of a parameter.
    """
    share = {part: layout.fsdp * (1 if part in (VISION, EMBEDDINGS) else layout.tensor) for part in parts}
    learning = sum(count.learning / share[part] for part, count in parts.items())
    frozen = sum((count.total - count.learning) / share[part] for part, count in parts.items())
    layers, crosses = config.text_config.num_hidden_layers, len(config.cross_attention_layers)
    return Memory(
        weights=round(learning * precision.learning + frozen * precision.frozen),
        gradients=round(learning * precision.gradient),
        optimiser=round(learning * precision.moment * moments),
        buffers=round(buffers(config, parts, layout, precision)),
        activations=activations.kept(layers, crosses, layout.recompute),
        backward=activations.working(layout.recompute),
        logits=activations.logits,
        vision=activations.vision,
        features=activations.features,
    )


def buffers(config: NVLMConfig, parts: Mapping[str, Count], layout: Layout, precision: Precision) -> float:
    """Two units whole (the one in use and the next, or the head and the last layer), and one's gradient.

    A unit is what FSDP gathers at once: a decoder layer, the head, the embeddings, the connector.
    """
    if precision is SINGLE:
        return 0.0
    layers, crosses = config.text_config.num_hidden_layers, len(config.cross_attention_layers)
    layer, cross = parts[LAYERS], parts[CROSS]
    whole = [
        *[layer.total / layers / layout.tensor + cross.total / max(1, crosses) / layout.tensor] * 2,
        parts[HEAD].total / layout.tensor,
        parts[CONNECTOR].total / layout.tensor,
        float(parts[EMBEDDINGS].total),
    ]
    learning = [
        layer.learning / layers / layout.tensor + cross.learning / max(1, crosses) / layout.tensor,
        parts[HEAD].learning / layout.tensor,
        parts[CONNECTOR].learning / layout.tensor,
    ]
    size = int(precision.compute.itemsize)
    return float(sum(sorted(whole)[-2:]) * size + max(learning) * (size + precision.sums))
