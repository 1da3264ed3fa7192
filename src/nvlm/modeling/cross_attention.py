"""Gated cross-attention, the new branch of NVLM-X and NVLM-H (sections 3.2 and 4.3 of the paper)."""

from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig
from transformers import initialization as init
from transformers.cache_utils import Cache
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from nvlm.modeling.cache import MemoryLayer
from nvlm.modeling.masks import Memory

__all__ = ["GatedCrossAttention"]


class GatedCrossAttention(nn.Module):
    """`x + tanh(g) · attention(norm(x), memory)`, then optionally `x + tanh(f) · feed_forward(norm(x))`.

    The paper names the layer kind and says no more. As decided here: one scalar gate per branch, the language model's
    head count, head size and key/value groups, no biases, RMS norm per head on queries and keys, no position encoding.
    A token with nothing to read passes through unchanged, exactly.

    Args:
        config: the language model's configuration.
        cache_slot: index of this layer's keys and values in the cache.
        gate_init: start value of the gates.
        qk_norm: RMS norm of every head's queries and keys.
        feed_forward: a module of the language model's width for the second branch; None leaves that branch out.
    """

    def __init__(
        self,
        config: PreTrainedConfig,
        cache_slot: int,
        gate_init: float = 0.0,
        qk_norm: bool = True,
        feed_forward: nn.Module | None = None,
    ) -> None:
        super().__init__()
        width, heads = config.hidden_size, config.num_attention_heads
        groups = getattr(config, "num_key_value_heads", None) or heads
        self.head_dim: int = getattr(config, "head_dim", None) or width // heads
        self.num_key_value_groups = heads // groups
        self.scaling = self.head_dim**-0.5
        self.cache_slot = cache_slot
        self.gate_init = gate_init

        def rms_norm(size: int) -> LlamaRMSNorm:
            return LlamaRMSNorm(size, eps=getattr(config, "rms_norm_eps", 1e-6))

        self.norm = rms_norm(width)
        self.q_proj = nn.Linear(width, heads * self.head_dim, bias=False)
        self.k_proj = nn.Linear(width, groups * self.head_dim, bias=False)
        self.v_proj = nn.Linear(width, groups * self.head_dim, bias=False)
        self.o_proj = nn.Linear(heads * self.head_dim, width, bias=False)
        self.q_norm = rms_norm(self.head_dim) if qk_norm else nn.Identity()
        self.k_norm = rms_norm(self.head_dim) if qk_norm else nn.Identity()
        self.gate = nn.Parameter(torch.full((1,), gate_init))
        self.feed_forward = feed_forward
        if feed_forward is not None:
            self.feed_forward_norm = rms_norm(width)
            self.feed_forward_gate = nn.Parameter(torch.full((1,), gate_init))

    def forward(self, hidden_states: Tensor, memory: Memory, cache: Cache | None = None) -> Tensor:
        """Read the memory: (B, S, D) → (B, S, D)."""
        update = self.attend(self.norm(hidden_states), memory, cache)
        hidden_states = hidden_states + torch.tanh(self.gate) * update.masked_fill(~memory.readers, 0.0)
        if self.feed_forward is not None:
            update = self.feed_forward(self.feed_forward_norm(hidden_states))
            update = update.masked_fill(~memory.readers, 0.0)
            hidden_states = hidden_states + torch.tanh(self.feed_forward_gate) * update
        return hidden_states

    def attend(self, queries: Tensor, memory: Memory, cache: Cache | None) -> Tensor:
        """Read the memory, with torch's scaled dot product: flash kernels do not take a mask of this shape."""
        query = self.q_norm(self.split(self.q_proj(queries)))
        key, value = self.keys_and_values(memory, cache)
        read, _ = sdpa_attention_forward(
            self, query, key, value, attention_mask=memory.mask, scaling=self.scaling, is_causal=False
        )
        update: Tensor = self.o_proj(read.flatten(2))
        return update

    def keys_and_values(self, memory: Memory, cache: Cache | None) -> tuple[Tensor, Tensor]:
        """(B, groups, K, head size) twice: made from the memory and put into the cache, or taken from the cache."""
        if memory.states is None:
            assert cache is not None
            layer = cast(MemoryLayer, cache.layers[self.cache_slot])
            return cast(Tensor, layer.keys), cast(Tensor, layer.values)
        key = self.k_norm(self.split(self.k_proj(memory.states)))
        value = self.split(self.v_proj(memory.states))
        if cache is not None:
            key, value = cache.update(key, value, self.cache_slot)
        return key, value

    def split(self, states: Tensor) -> Tensor:
        """Split the heads: (B, L, heads · head size) → (B, heads, L, head size)."""
        heads: Tensor = states.unflatten(-1, (-1, self.head_dim))  # type: ignore[no-untyped-call]
        return heads.transpose(1, 2)

    def reset_gates(self) -> None:
        """Set the gates to their start value, unless they were loaded from a checkpoint."""
        init.constant_(self.gate, self.gate_init)
        if self.feed_forward is not None:
            init.constant_(self.feed_forward_gate, self.gate_init)

    def copy_self_attention(self, self_attn: Any, norm: Any, memory_rms: Tensor) -> None:
        """Warm start: begin as a copy of the same layer's self-attention, reading memory as if it were text.

        Self-attention reads its norm's output; memory comes as it is, so that norm is folded into the weights for keys
        and values. Norms of heads that self-attention does not have begin at the size that its heads have, so that
        attention stays as sharp. Biases have no place here and are left out; weights that were loaded are kept.

        Args:
            self_attn, norm: of the decoder layer.
            memory_rms: scalar, the root mean square of what memory will hold: of a usual token's embedding, as an
                aligned connector speaks the language model's language.
        """
        init.copy_(self.norm.weight, norm.weight)
        for name in ("q_proj", "o_proj"):
            init.copy_(getattr(self, name).weight, getattr(self_attn, name).weight)
        for name in ("k_proj", "v_proj"):
            init.copy_(getattr(self, name).weight, getattr(self_attn, name).weight * norm.weight / memory_rms)
        for name, projection in (("q_norm", self_attn.q_proj), ("k_norm", self_attn.k_proj)):
            if isinstance(own := getattr(self, name), LlamaRMSNorm):
                size = (projection.weight * norm.weight).square().sum(-1).mean().sqrt()
                init.copy_(own.weight, getattr(self_attn, name).weight if hasattr(self_attn, name) else size)
