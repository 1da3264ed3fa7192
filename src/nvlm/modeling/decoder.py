"""A decoder layer with three residual branches: self-attention, gated cross-attention, feed-forward (figure 3).

The layer that a language model brings stays the same object, with the same children under the same names; it learns a
third branch. Parameter names, hooks and everything that asks for the layer's own class therefore keep working.
"""

import copy
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache
from transformers.modeling_layers import GradientCheckpointingLayer

from nvlm.modeling.cross_attention import GatedCrossAttention
from nvlm.modeling.masks import Memory

__all__ = ["CrossAttentionDecoderLayer", "add_cross_attention", "decoder_layers"]

CHILDREN = ("input_layernorm", "self_attn", "post_attention_layernorm", "mlp")


class CrossAttentionDecoderLayer(GradientCheckpointingLayer):  # type: ignore[no-untyped-call]
    """A Llama-shaped decoder layer with gated cross-attention between its two branches; made by
    `add_cross_attention`."""

    input_layernorm: nn.Module
    self_attn: nn.Module
    cross_attention: GatedCrossAttention
    post_attention_layernorm: nn.Module
    mlp: nn.Module

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Any = None,
        past_key_values: Cache | None = None,
        memory: Memory | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """(B, S, D) → (B, S, D); without memory this is the language model's own layer."""
        update, _ = self.self_attn(
            hidden_states=self.input_layernorm(hidden_states),
            attention_mask=attention_mask,
            past_key_values=past_key_values,
            **kwargs,
        )
        hidden_states = hidden_states + update
        if memory is not None:
            hidden_states = self.cross_attention(hidden_states, memory, past_key_values)
        hidden_states = hidden_states + self.mlp(self.post_attention_layernorm(hidden_states))
        return hidden_states


def decoder_layers(language_model: nn.Module) -> nn.ModuleList:
    """The layers at `language_model.model.layers`, or a `ValueError` that says what is there instead."""
    layers = getattr(getattr(language_model, "model", None), "layers", None)
    if not isinstance(layers, nn.ModuleList):
        children = ", ".join(name for name, _ in language_model.named_children())
        raise ValueError(
            f"cross-attention needs a language model with decoder layers at model.layers, as Llama and Qwen2 have; "
            f"{type(language_model).__name__} has {children}"
        )
    return layers


def add_cross_attention(layer: nn.Module, cross_attention: GatedCrossAttention) -> None:
    """Give `layer`, in place, its third branch; `ValueError` when it is not Llama-shaped."""
    check_shape(layer)
    layer_class: type = type(layer)
    layer.__class__ = with_three_branches(layer_class)
    layer.cross_attention = cross_attention


@cache
def with_three_branches(layer_class: type) -> type:
    """`layer_class` with the forward of `CrossAttentionDecoderLayer`; still a subclass of it."""
    return type(f"CrossAttention{layer_class.__name__}", (CrossAttentionDecoderLayer, layer_class), {})


def check_shape(layer: nn.Module) -> None:
    """Refuse, with a `ValueError`, a layer that is anything but two pre-normed residual branches."""
    name, children = type(layer).__name__, tuple(child for child, _ in layer.named_children())
    if sorted(children) != sorted(CHILDREN):
        raise ValueError(
            f"cross-attention needs Llama-shaped decoder layers with exactly the children {', '.join(CHILDREN)}; "
            f"{name} has {', '.join(children)}"
        )
    if not adds_two_branches(layer):
        raise ValueError(
            f"cross-attention needs decoder layers that compute x + self_attn(input_layernorm(x)), then "
            f"x + mlp(post_attention_layernorm(x)); {name} has those children and computes something else with them"
        )


def adds_two_branches(layer: Any) -> bool:
    """Ask the layer itself: run its forward with simple functions in place of its children.

    Names are not enough: a layer may scale its residuals, run its branches side by side, or norm after them.
    """
    probe = copy.copy(layer)
    stubs = {name: Stub(i + 2.0, returns_pair=name == "self_attn") for i, name in enumerate(CHILDREN)}
    probe._modules = dict(stubs)
    x = torch.linspace(-1.0, 1.0, 8, device="cpu").reshape(1, 2, 4)
    expected = x + stubs["self_attn"](stubs["input_layernorm"](x))[0]
    expected = expected + stubs["mlp"](stubs["post_attention_layernorm"](expected))
    try:
        found = type(layer).forward(probe, x)
    except Exception:  # whatever a layer of another kind runs into, it is not of this kind
        return False
    return isinstance(found, Tensor) and torch.equal(found, expected)


class Stub(nn.Module):
    """A function without weights that stands for one child of a layer; no two scales give the same function."""

    def __init__(self, scale: float, returns_pair: bool) -> None:
        super().__init__()
        self.scale, self.returns_pair = scale, returns_pair

    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Any:
        out = torch.tanh(hidden_states * self.scale) + 1.0 / self.scale
        return (out, None) if self.returns_pair else out
