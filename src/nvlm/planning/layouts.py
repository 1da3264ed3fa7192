"""Which part of a model stands on which GPU: the split by layers that the card of NVLM-D-72B gives."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from nvlm.modeling.config import NVLMConfig
from nvlm.modeling.model import NVLMForConditionalGeneration

__all__ = ["device_map", "layers_per_gpu", "skeleton", "split_by_layers"]


def device_map(config: NVLMConfig, gpus: int) -> dict[str, int]:
    """Modules → GPUs, as the model card's `split_model`: for `load` and for transformers' `from_pretrained`.

    The vision encoder counts as half a GPU, so GPU 0 takes half as many layers as the others. Whatever is no decoder
    layer stands on GPU 0, and so does the last layer: what is fed in and what comes out are in one place.

    Args:
        config: of a D, X or H model on any language model.
        gpus: how many there are. With more than layers, some stay empty.

    Raises:
        ValueError: less than one GPU, or a language model without a list of its layers.
    """
    return split_by_layers(skeleton(config), gpus)


def split_by_layers(model: NVLMForConditionalGeneration, gpus: int) -> dict[str, int]:
    """`device_map` of a model that is there already, on the `meta` device perhaps."""
    layers = _layer_list(model)
    counts = layers_per_gpu(len(layers), gpus)
    places = [gpu for gpu, count in enumerate(counts) for _ in range(count)][: len(layers)]
    places[-1] = 0
    numbers = iter(places)
    return {name: next(numbers) if in_list else 0 for name, in_list in _parts(model, layers)}


def layers_per_gpu(layers: int, gpus: int) -> list[int]:
    """How many layers each GPU has room for, rounded up as the card rounds: together at least `layers`.

    >>> layers_per_gpu(80, 4)
    [12, 23, 23, 23]

    Raises:
        ValueError: less than one GPU.
    """
    if gpus < 1:
        raise ValueError(f"gpus is {gpus}, but a model stands on at least 1")
    each = math.ceil(layers / (gpus - 0.5))
    return [math.ceil(each * 0.5), *[each] * (gpus - 1)]


def skeleton(config: NVLMConfig) -> NVLMForConditionalGeneration:
    """The model without weights, on the `meta` device."""
    with torch.device("meta"):
        return NVLMForConditionalGeneration(config)


def _layer_list(model: NVLMForConditionalGeneration) -> nn.ModuleList:
    text: Any = model.config.text_config
    language: Any = model.language_model
    for module in language.modules():
        if isinstance(module, nn.ModuleList) and len(module) == text.num_hidden_layers:
            return module
    raise ValueError(
        f"{type(language).__name__} has {text.num_hidden_layers} layers but no list of so many modules to split"
    )


def _parts(module: nn.Module, layers: nn.ModuleList, prefix: str = "") -> Iterator[tuple[str, bool]]:
    """The largest modules that hold no list of layers, and the layers: (name, is it a layer?)."""
    for name, child in module.named_children():
        if child is layers:
            yield from ((f"{prefix}{name}.{number}", True) for number in range(len(layers)))
        elif any(inner is layers for inner in child.modules()):
            yield from _parts(child, layers, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", False
