"""The tensors of the published NVLM-D-72B under their names there and under ours, in both directions, bit for bit.

NVIDIA's layout differs from this family's in the vision encoder and the connector only; the language model's names are
its own in both. Four things differ in more than the name:

* `attn.qkv` holds the rows of q, k and v in one tensor;
* the encoder is stored with dummy heads of zeros behind its real ones (72B: 25 + 7 = 32, which eight GPUs can share);
* q and k norms are stored over all of these heads, though they are norms of the real ones;
* `attn.proj` has columns for the dummy heads.

Legend: C width of the encoder (its real heads side by side), S width as stored (C and the dummy heads).
"""

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nvlm.modeling.config import NVLMConfig
from nvlm.modeling.model import NVLMForConditionalGeneration

__all__ = [
    "DUMMY_HEADS",
    "TABLE",
    "Row",
    "dummy_heads",
    "note_padding",
    "own_names",
    "own_shapes",
    "published_name",
    "published_shapes",
    "to_own",
    "to_published",
]

DUMMY_HEADS = 7
"""Heads of zeros that the published encoder is stored with; vLLM expects as many whatever the encoder's size."""

LANGUAGE = "language_model."
CROSS_ATTENTION = ".cross_attention."


class Row(NamedTuple):
    """One published tensor (`*` is a layer's number), the tensors of ours that it holds, and how dummy heads lie in it.

    `heads` is "" for a tensor without heads; "rows" for (S, …), one such block for each of ours; "columns" for (…, S);
    "norm" for the weights of a norm, (S,), whose dummy channels multiply zeros and may hold any constant.
    """

    published: str
    own: tuple[str, ...]
    heads: str = ""


LAYER, OWN_LAYER = "vision_model.encoder.layers.*.", "vision_model.encoder.layer.*."


def _layer_row(published: str, *own: str, heads: str = "") -> Row:
    return Row(LAYER + published, tuple(OWN_LAYER + name for name in own), heads)


TABLE = (
    Row("vision_model.embeddings.class_embedding", ("vision_model.embeddings.cls_token",)),
    Row("vision_model.embeddings.position_embedding", ("vision_model.embeddings.position_embeddings",)),
    *(
        Row(
            f"vision_model.embeddings.patch_embedding.{kind}",
            (f"vision_model.embeddings.patch_embeddings.projection.{kind}",),
        )
        for kind in ("weight", "bias")
    ),
    *(
        _layer_row(f"attn.qkv.{kind}", *(f"attention.{name}_proj.{kind}" for name in "qkv"), heads="rows")
        for kind in ("weight", "bias")
    ),
    *(_layer_row(f"attn.{name}_norm.weight", f"attention.{name}_norm.weight", heads="norm") for name in "qk"),
    _layer_row("attn.proj.weight", "attention.projection_layer.weight", heads="columns"),
    _layer_row("attn.proj.bias", "attention.projection_layer.bias"),
    *(_layer_row(f"mlp.{name}.{kind}", f"mlp.{name}.{kind}") for name in ("fc1", "fc2") for kind in ("weight", "bias")),
    *(_layer_row(f"norm1.{kind}", f"layernorm_before.{kind}") for kind in ("weight", "bias")),
    *(_layer_row(f"norm2.{kind}", f"layernorm_after.{kind}") for kind in ("weight", "bias")),
    *(_layer_row(f"ls{number}", f"lambda_{number}") for number in (1, 2)),
    Row("mlp1.0.weight", ("connector.norm.weight",)),
    Row("mlp1.0.bias", ("connector.norm.bias",)),
    Row("mlp1.1.weight", ("connector.projector.0.weight",)),
    Row("mlp1.3.weight", ("connector.projector.2.weight",)),
)
"""Everything but the language model, whose names are the same in both layouts."""

BY_PUBLISHED = {row.published: row for row in TABLE}
BY_OWN = {own: row for row in TABLE for own in row.own}


def own_names(published: str) -> tuple[str, ...]:
    """The tensors of ours that a published one holds.

    >>> own_names("vision_model.encoder.layers.0.ls1")
    ('vision_model.encoder.layer.0.lambda_1',)

    Raises:
        ValueError: NVIDIA's layout has no such tensor.
    """
    if published.startswith(LANGUAGE):
        return (_in_both(published),)
    number, row = _row(published, BY_PUBLISHED, "NVIDIA's layout")
    return tuple(name.replace("*", number) for name in row.own)


def published_name(own: str) -> str:
    """The published tensor that holds one of ours; q, k and v give the same.

    >>> published_name("vision_model.encoder.layer.0.attention.k_proj.weight")
    'vision_model.encoder.layers.0.attn.qkv.weight'

    Raises:
        ValueError: this is no tensor of an NVLM-D, or of one that NVIDIA's layout has no place for.
    """
    if own.startswith(LANGUAGE):
        return _in_both(own)
    number, row = _row(own, BY_OWN, "an NVLM-D that fits NVIDIA's layout")
    return row.published.replace("*", number)


def to_own(published: str, tensor: Tensor, config: NVLMConfig) -> dict[str, Tensor]:
    """One published tensor as tensors of ours: fused rows apart, dummy heads cut; same dtype, same bits.

    How many dummy heads there are is read from the shape; there may be none.

    Raises:
        ValueError: no such name, a shape that does not go with the encoder's heads, or heads to cut that are not zero.
    """
    names = own_names(published)
    heads = _heads(published)
    if not heads:
        return dict(zip(names, (tensor,), strict=True))
    real = config.vision_config.hidden_size
    _stored_width(published, tensor, config)
    if heads == "columns":
        _check_zero(published, tensor[:, real:], config)
        return {names[0]: tensor[:, :real].contiguous()}
    parts = tensor.chunk(len(names))
    if heads == "rows":
        for part in parts:
            _check_zero(published, part[real:], config)
    return {name: part[:real].clone() for name, part in zip(names, parts, strict=True)}


def to_published(published: str, tensors: Mapping[str, Tensor], config: NVLMConfig) -> Tensor:
    """The published tensor from those of ours that it holds: rows fused, dummy heads restored; same dtype, same bits.

    Raises:
        ValueError: no such name, a tensor of ours is not among `tensors`, or what stood in dummy channels is not known.
    """
    names = own_names(published)
    if missing := [name for name in names if name not in tensors]:
        raise ValueError(f"{published} is made of {', '.join(names)}, but {', '.join(missing)} is not there")
    parts = [tensors[name] for name in names]
    heads = _heads(published)
    if not heads:
        return parts[0]
    dummies = dummy_heads(config) * _head_width(config)
    if not dummies:
        return torch.cat(parts) if len(parts) > 1 else parts[0]
    if heads == "columns":
        return torch.cat([parts[0], parts[0].new_zeros(len(parts[0]), dummies)], dim=1)
    fill = _norm_fill(published, config) if heads == "norm" else 0.0
    padding = parts[0].new_full((dummies, *parts[0].shape[1:]), fill)
    return torch.cat([piece for part in parts for piece in (part, padding)])


def dummy_heads(config: NVLMConfig) -> int:
    """Dummy heads that the encoder is, or will be, stored with in NVIDIA's layout."""
    return int((config.published or {}).get("dummy_heads", DUMMY_HEADS))


def note_padding(published: str, tensor: Tensor, config: NVLMConfig, strict: bool = True) -> None:
    """Keep in `config.published` what `to_own` cuts off, so that `to_published` can restore it.

    That is the number of dummy heads, and the constant that norms hold in their channels, which has no effect. Tensors
    without heads leave the configuration as it is.

    Args:
        strict: refuse norms whose dummy channels hold no constant; else note that there is none, so that the model can
            be used but not written back.

    Raises:
        ValueError: such norms, or another number of dummy heads than in a tensor noted before.
    """
    heads = _heads(published)
    if not heads:
        return
    noted = config.published or {}
    stored = _stored_width(published, tensor, config)
    dummies = stored // _head_width(config) - config.vision_config.num_attention_heads
    if (before := noted.get("dummy_heads", dummies)) != dummies:
        raise ValueError(f"{published} has {dummies} dummy heads, but a tensor before it had {before}")
    noted = {**noted, "dummy_heads": dummies}
    cut = tensor[config.vision_config.hidden_size :]
    if heads == "norm" and len(cut) and not cut.is_meta:
        values = {*cut.tolist(), noted.get("dummy_norm", cut[0].item())}
        if len(values) > 1 and strict:
            raise ValueError(
                f"the channels of dummy heads, the last {len(cut)} of {published}, hold other values than one constant "
                f"for the whole model ({', '.join(map(str, values))[:80]}); they could not be restored"
            )
        noted["dummy_norm"] = values.pop() if len(values) == 1 else None
    config.published = noted


def own_shapes(config: NVLMConfig) -> dict[str, tuple[int, ...]]:
    """Every tensor of ours with its shape, as it is stored: tied embeddings once."""
    with torch.device("meta"):
        model: Any = NVLMForConditionalGeneration(config)
    tied = model.all_tied_weights_keys
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items() if name not in tied}


def published_shapes(config: NVLMConfig) -> dict[str, tuple[int, ...]]:
    """Every published tensor with its shape, dummy heads counted.

    Raises:
        ValueError: a model with tensors that NVIDIA's layout has no place for.
    """
    own = {name: torch.empty(shape, device="meta") for name, shape in own_shapes(config).items()}
    names = dict.fromkeys(published_name(name) for name in own)
    return {name: tuple(to_published(name, own, config).shape) for name in names}


def _in_both(name: str) -> str:
    if CROSS_ATTENTION in name:
        raise ValueError(f"{name} is cross-attention, but NVIDIA's layout holds NVLM-D only, which has none")
    return name


def _row(name: str, rows: Mapping[str, Row], whose: str) -> tuple[str, Row]:
    """The row of a name, and the layer's number in it."""
    number = re.search(r"(?<=\.)\d+(?=\.)", name) if name.startswith("vision_model.encoder.") else None
    digits = number[0] if number else ""
    row = rows.get(name.replace(f".{digits}.", ".*.", 1) if digits else name)
    if row is None:
        raise ValueError(f"{name} is no tensor of {whose}; is it from a model of another kind?")
    return digits, row


def _heads(published: str) -> str:
    return "" if published.startswith(LANGUAGE) else _row(published, BY_PUBLISHED, "NVIDIA's layout")[1].heads


def _head_width(config: NVLMConfig) -> int:
    return int(config.vision_config.hidden_size // config.vision_config.num_attention_heads)


def _stored_width(published: str, tensor: Tensor, config: NVLMConfig) -> int:
    """S: the channels of all heads that a tensor is stored with."""
    heads, vision, one = _heads(published), config.vision_config, _head_width(config)
    along, blocks = (1, 1) if heads == "columns" else (0, len(own_names(published)))
    width, rest = divmod(tensor.shape[along], blocks)
    if rest or width % one or width < vision.hidden_size:
        raise ValueError(
            f"{published} has the shape {tuple(tensor.shape)}, but an encoder of {vision.num_attention_heads} heads of "
            f"{one} needs {blocks} x {vision.hidden_size} along dimension {along}, and whole heads beyond; "
            "does config.json belong to these weights?"
        )
    return width


def _check_zero(published: str, cut: Tensor, config: NVLMConfig) -> None:
    if cut.is_meta or not bool(cut.any()):
        return
    real = config.vision_config.num_attention_heads
    raise ValueError(
        f"{published} has {real} heads and {math.prod(cut.shape):,} values behind them, of which "
        f"{int(cut.count_nonzero()):,} are not zero; dummy heads are zero, so is num_attention_heads {real} wrong?"
    )


def _norm_fill(published: str, config: NVLMConfig) -> float:
    fill = (config.published or {}).get("dummy_norm", 0.0)
    if fill is None:
        raise ValueError(
            f"the dummy channels of {published} cannot be restored: they held no constant when the model was loaded; "
            "convert from NVIDIA's own files instead"
        )
    return float(fill)
