"""NVIDIA's tensors while transformers reads them, shard by shard: `from_pretrained` straight from that layout.

The rules are made from `published.TABLE` and registered for our model's class. Each has its reverse. Names of our own
layout match none of them, so that our own checkpoints are read as they are.
"""

import re
from typing import Any

from torch import Tensor
from torch.distributed.tensor import DTensor
from transformers.conversion_mapping import register_checkpoint_conversion_mapping
from transformers.core_model_loading import ConversionOps, WeightConverter, WeightRenaming

from nvlm.checkpoints.published import TABLE, Row, note_padding, own_names, published_name, to_own, to_published
from nvlm.modeling.config import NVLMConfig
from nvlm.modeling.model import NVLMForConditionalGeneration

__all__ = ["FromPublished", "ToPublished", "register_conversions"]


class FromPublished(ConversionOps):
    """One published tensor → those of ours that it holds."""

    def convert(  # type: ignore[override]
        self, input_dict: dict[str, Any], *, full_layer_name: str, model: Any, config: NVLMConfig, **kwargs: Any
    ) -> dict[str, Tensor]:
        """Tensors of ours by their full names; what is cut off is noted in the model's configuration."""
        published = published_name(full_layer_name)
        if isinstance(model.get_parameter(full_layer_name), DTensor):  # then only a part of the fused tensor is here
            raise ValueError(
                f"{published} cannot be shared out among GPUs while it is read; convert the checkpoint first: "
                "nvlm convert SRC DST --to nvlm"
            )
        (tensors,) = input_dict.values()
        note_padding(published, tensors[0], config, strict=False)
        return to_own(published, tensors[0], config)

    @property
    def reverse_op(self) -> ConversionOps:
        """The other direction."""
        return ToPublished()


class ToPublished(ConversionOps):
    """Tensors of ours → the published one that holds them."""

    def convert(  # type: ignore[override]
        self,
        input_dict: dict[str, Any],
        source_patterns: list[str],
        *,
        full_layer_name: str,
        config: NVLMConfig,
        **kwargs: Any,
    ) -> dict[str, Tensor]:
        """The published tensor by its full name."""
        tensors = [input_dict[pattern][0] for pattern in source_patterns]
        named = dict(zip(own_names(full_layer_name), tensors, strict=True))
        return {full_layer_name: to_published(full_layer_name, named, config)}

    @property
    def reverse_op(self) -> ConversionOps:
        """The other direction."""
        return FromPublished()


def register_conversions() -> None:
    """Let transformers read NVIDIA's layout as our model."""
    rules = [_rule(row) for row in TABLE]
    register_checkpoint_conversion_mapping(NVLMForConditionalGeneration.__name__, rules, overwrite=True)


def _rule(row: Row) -> WeightRenaming | WeightConverter:
    published, *own = (_pattern(name) for name in (row.published, *row.own))
    if row.heads:
        return WeightConverter([published], own, [FromPublished()])
    return WeightRenaming([published], own)


def _pattern(name: str) -> str:
    r"""`a.*.b` → `^a\.(\d+)\.b`, which transformers ends where the name does, and turns round by itself."""
    return "^" + re.escape(name).replace(r"\*", r"(\d+)")
