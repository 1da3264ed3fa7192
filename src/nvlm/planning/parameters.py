"""The parameters of a model by part, learning or not."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch

from nvlm.modeling.model import NVLMForConditionalGeneration

__all__ = ["PARTS", "Count", "choose_learning", "count_parameters"]

VISION, CONNECTOR, EMBEDDINGS, LAYERS, CROSS, HEAD = PARTS = (
    "vision encoder",
    "connector",
    "embeddings",
    "decoder layers",
    "cross-attention",
    "head",
)


@dataclass(frozen=True)
class Count:
    """Parameters of a part, and how many of them learn."""

    total: int = 0
    learning: int = 0


def choose_learning(model: NVLMForConditionalGeneration, trainable: Sequence[str]) -> None:
    """Mark in the model what learns.

    Raises:
        ValueError: a pattern matches no parameter.
    """
    names = [name for name, _ in model.named_parameters()]
    for pattern in trainable:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ValueError(f"nothing to train matches {pattern} in NVLM-{model.config.architecture}")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(any(fnmatchcase(name, pattern) for pattern in trainable))


def count_parameters(model: NVLMForConditionalGeneration) -> dict[str, Count]:
    """Every part's parameters. A head that is tied to the embeddings counts once, there."""
    total, learning = dict.fromkeys(PARTS, 0), dict.fromkeys(PARTS, 0)
    for name, parameter in model.named_parameters():
        part = part_of(model, name, parameter)
        total[part] += parameter.numel()
        learning[part] += parameter.numel() * parameter.requires_grad
    return {part: Count(total[part], learning[part]) for part in PARTS}


def part_of(model: NVLMForConditionalGeneration, name: str, parameter: torch.Tensor) -> str:
    """Which part a parameter belongs to; the final norm goes with the layers."""
    if name.startswith("vision_model."):
        return VISION
    if name.startswith("connector."):
        return CONNECTOR
    if ".cross_attention." in name:
        return CROSS
    if parameter is model.get_input_embeddings().weight:
        return EMBEDDINGS
    return HEAD if parameter is model.get_output_embeddings().weight else LAYERS
