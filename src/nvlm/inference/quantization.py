"""Weights in fewer bits: the language model's linear layers, and nothing else.

The vision encoder, the connector and the head stay as they are: they are a small share of a large model, and a
conversion of all of the 72B to 4 bits was seen to spoil its answers about pictures.
"""

from importlib.util import find_spec
from typing import Any

import torch
from torch import nn
from transformers import BitsAndBytesConfig, TorchAoConfig

from nvlm.modeling.config import NVLMConfig
from nvlm.planning.inference_memory import packed_layers
from nvlm.planning.layouts import skeleton

__all__ = ["QUANTIZATIONS", "find_quantization"]

QUANTIZATIONS = {"fp8": "torchao", "int8": "torchao", "int4": "torchao", "4bit": "bitsandbytes"}
"""Each way's name, and the package that does it."""

GROUPS = (128, 64, 32)
"""How many weights of an int4 row may share a scale; the most that fits is taken."""

CPU_ROWS = {"int4": 16, "4bit": 32}
"""Rows that the kernels for a CPU take at once."""


def find_quantization(name: str, config: NVLMConfig, dtype: torch.dtype, device: torch.device) -> Any:
    """The `quantization_config` of `from_pretrained`.

    Args:
        name: `fp8`, `int8` (one scale per row) and `int4` (one per group of a row) are weight-only, by torchao; `4bit`
            is NF4 with its scales quantised too, by bitsandbytes.
        config: of the model.
        dtype: of the weights that stay as they are, and of the arithmetic.
        device: where the model runs.

    Raises:
        ValueError: an unknown name, a package that is not installed, or weights that cannot be packed so.
    """
    if name not in QUANTIZATIONS:
        raise ValueError(f"quantization is {name!r}; it must be one of {', '.join(QUANTIZATIONS)}")
    package = QUANTIZATIONS[name]
    if find_spec(package) is None:
        raise ValueError(
            f"quantization {name!r} needs {package}, which is not installed: pip install 'nvlm[quantization]'"
        )
    model = skeleton(config)
    packed = packed_layers(model)
    _check_shapes(name, packed, device)
    head = model.get_output_embeddings()
    heads = [path for path, module in model.named_modules() if module is head]
    untouched = ["vision_model", "connector", *heads]
    if name == "4bit":
        return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
            llm_int8_skip_modules=untouched,
        )
    return TorchAoConfig(_weight_only(name, packed, dtype, device), modules_to_not_convert=untouched)


def _weight_only(name: str, packed: dict[str, nn.Linear], dtype: torch.dtype, device: torch.device) -> Any:
    from torchao.quantization import Float8WeightOnlyConfig, Int8WeightOnlyConfig

    quiet = {"set_inductor_config": False}  # or the precision of every other model's arithmetic changes, too
    if name == "fp8":
        return Float8WeightOnlyConfig(**quiet)
    if name == "int8":
        return Int8WeightOnlyConfig(**quiet)
    # a row that the group does not divide would stay as it is, without a word
    group = next(group for group in GROUPS if all(module.in_features % group == 0 for module in packed.values()))
    if device.type == "cpu":
        from torchao.prototype.quantization.int4 import PrototypeInt4WeightOnlyConfig

        return PrototypeInt4WeightOnlyConfig(group_size=group, **quiet)
    from torchao.quantization import Int4WeightOnlyConfig

    if dtype != torch.bfloat16:
        raise ValueError(f"quantization 'int4' computes in bfloat16 on {device.type}, but dtype is {dtype}")
    return Int4WeightOnlyConfig(group_size=group, int4_packing_format="tile_packed_to_4d", **quiet)


def _check_shapes(name: str, packed: dict[str, nn.Linear], device: torch.device) -> None:
    """Refuse matrices that the packages' kernels cannot take; one of them would fail at the first answer only."""
    row = GROUPS[-1] if name == "int4" else 1
    rows = CPU_ROWS.get(name, 1) if device.type == "cpu" else 1
    for path, module in packed.items():
        if module.in_features % row or module.out_features % rows:
            raise ValueError(
                f"{path} has {module.out_features} rows of {module.in_features} weights, but {name} on {device.type} "
                f"needs a multiple of {rows} rows of a multiple of {row}; take another quantization"
            )
