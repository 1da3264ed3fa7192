"""What a model takes on each GPU while it answers one prompt: its weights, and the keys and values of the prompt.

Activations are not counted; they, the driver and fragmentation have what `USABLE` leaves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from nvlm.modeling.config import NVLMConfig
from nvlm.modeling.tensor_parallel import check_divides, is_named
from nvlm.planning.gpus import USABLE, Gpu
from nvlm.planning.layouts import split_by_layers

__all__ = ["PACKINGS", "Packing", "by_layers", "by_tensors", "fewest_gpus", "markdown_table", "packed_layers"]

MOST_GPUS = 16
PLAIN = 2
"""Bytes of a bfloat16 value, which everything is but the packed weights."""


@dataclass(frozen=True)
class Packing:
    """How the weights of the language model's linear layers are held; see `nvlm.inference.quantization`.

    Attributes:
        bits: of one weight.
        row: bytes beside each row.
        group: weights of a row that share `per_group` further bytes; 0 without groups.
    """

    bits: int
    row: int = 0
    group: int = 0
    per_group: float = 0.0

    def bytes(self, weight: Tensor) -> float:
        """Of a matrix (rows, columns)."""
        rows, columns = weight.shape
        shared = rows * columns / self.group * self.per_group if self.group else 0.0
        return rows * columns * self.bits / 8 + rows * self.row + shared


PACKINGS = {
    "bf16": Packing(16),
    "fp8": Packing(8, row=4),  # a float32 scale
    "int8": Packing(8, row=5),  # and an int8 zero
    "int4": Packing(4, group=128, per_group=4),  # scale and zero in bfloat16
    "4bit": Packing(4, group=64, per_group=1 + 4 / 256),  # a scale in one byte, and one float32 for 256 of these
}


def by_layers(model: Any, packing: str, gpus: int, tokens: int, memory_tokens: int = 0) -> list[int]:
    """Bytes on each GPU, split by layers as `device_map` splits them.

    Args:
        model: the model, or its skeleton.
        packing: a key of `PACKINGS`.
        gpus: how many there are.
        tokens: of the sequence: prompt and answer, image tokens in the sequence included.
        memory_tokens: that cross-attention reads.

    Raises:
        ValueError: less than one GPU.
    """
    places = split_by_layers(model, gpus)
    packed = {f"{name}.weight" for name in packed_layers(model)}
    totals = [0.0] * gpus
    for name, parameter in model.named_parameters():
        size = PACKINGS[packing].bytes(parameter) if name in packed else PLAIN * parameter.numel()
        totals[places[_part_of(name, places)]] += size
    for place, size in zip(_layer_places(places), _cache(model.config, tokens, memory_tokens), strict=True):
        totals[place] += size
    return [round(total) for total in totals]


def by_tensors(model: Any, gpus: int, tokens: int, memory_tokens: int = 0) -> int:
    """Bytes on each GPU of a tensor-parallel group, in bfloat16.

    Raises:
        ValueError: the heads cannot be shared evenly.
    """
    check_divides(model.config, gpus)
    total = 0.0
    for name, parameter in model.named_parameters():
        shared = parameter.ndim > 1 and is_named(name, model.tp_plan)
        total += PLAIN * parameter.numel() / (gpus if shared else 1)
    return round(total + sum(_cache(model.config, tokens, memory_tokens)) / gpus)


def fewest_gpus(model: Any, packing: str, gpu: Gpu, tokens: int, memory_tokens: int = 0) -> tuple[int, int] | None:
    """The smallest number of such GPUs that hold the model by layers, and the largest share; None if 16 do not."""
    for count in range(1, MOST_GPUS + 1):
        largest = max(by_layers(model, packing, count, tokens, memory_tokens))
        if largest <= USABLE * gpu.memory:
            return count, largest
    return None


def markdown_table(model: Any, gpus: Sequence[Gpu], tokens: int) -> list[str]:
    """A row for each packing: all weights, then for each kind of GPU the smallest number and the largest share."""
    lines = [f"| weights | in all | {' | '.join(gpu.name for gpu in gpus)} |", "|---" * (2 + len(gpus)) + "|"]
    for name in PACKINGS:
        whole = by_layers(model, name, 1, 0)[0]
        cells = [_cell(fewest_gpus(model, name, gpu, tokens)) for gpu in gpus]
        lines.append(f"| {name} | {_gb(whole)} | {' | '.join(cells)} |")
    return lines


def packed_layers(model: Any) -> dict[str, nn.Linear]:
    """What quantisation packs, by name: the language model's linear layers, and not its head."""
    head = model.get_output_embeddings()
    modules = ((f"language_model.{name}", module) for name, module in model.language_model.named_modules())
    return {name: module for name, module in modules if isinstance(module, nn.Linear) and module is not head}


def _part_of(name: str, places: dict[str, int]) -> str:
    """The module of a device map that a parameter is in."""
    parts = name.split(".")
    return next(part for end in range(len(parts), 0, -1) if (part := ".".join(parts[:end])) in places)


def _layer_places(places: dict[str, int]) -> list[int]:
    return [place for name, place in places.items() if name.rpartition(".")[2].isdigit()]


def _cache(config: NVLMConfig, tokens: int, memory_tokens: int) -> list[float]:
    """Keys and values of every layer, in bytes."""
    text = config.text_config
    groups = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    crossed = config.cross_attention_layers
    return [
        2.0 * PLAIN * groups * width * (tokens + memory_tokens * (layer in crossed))
        for layer in range(text.num_hidden_layers)
    ]


def _cell(fewest: tuple[int, int] | None) -> str:
    return f"more than {MOST_GPUS}" if fewest is None else f"{fewest[0]} × {_gb(fewest[1])}"


def _gb(size: int) -> str:
    return f"{size / 10**9:.1f} GB"
