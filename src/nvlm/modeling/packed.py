"""Packed rows: samples that share a row and do not see each other.

The convention is transformers': a batch is packed when it has no `attention_mask` and its `position_ids` begin anew
inside a row. Every stretch of consecutive positions is one sample; padding at the end of a row is a sample of its own.

Axes: B rows, S tokens of the sequence, H heads, K keys.
"""

from collections.abc import Sequence
from itertools import accumulate, chain, pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._pytree import tree_map
from transformers import PreTrainedConfig
from transformers.utils.generic import is_flash_attention_requested

from nvlm.modeling.loss import IGNORED

__all__ = ["Block", "SampleMask", "attention_inputs", "by_blocks", "check_labels", "sample_lengths"]

Lengths = list[list[int]]
"""For each row the tokens of its samples, in order; every row adds up to S."""

MASK_FROM_POSITIONS = ("sdpa", "eager", "flex_attention")
"""Kinds of attention for which transformers makes the mask of packed rows from `position_ids`."""


def sample_lengths(
    position_ids: Tensor | None, attention_mask: Any, use_cache: bool | None, rows: int
) -> Lengths | None:
    """The samples of packed rows; None when no row is packed.

    Raises:
        ValueError: positions begin anew in a batch that has an attention mask or is to be cached, where nothing would
            keep its samples apart.
    """
    if position_ids is None or position_ids.ndim != 2:
        return None
    anew = position_ids[:, 1:] != position_ids[:, :-1] + 1
    masked = isinstance(attention_mask, Tensor) and attention_mask.shape == position_ids.shape
    if masked:  # beside padding, positions may begin where they like
        anew = anew & (attention_mask[:, 1:] != 0) & (attention_mask[:, :-1] != 0)
    if (attention_mask is not None and not masked) or not anew.any():
        return None
    if masked or use_cache:
        wrong = "an attention_mask" if masked else "a cache"
        raise ValueError(
            f"position_ids begin anew inside a row, so samples share it, but the batch comes with {wrong}, "
            "which would let them see each other; leave it out (packed rows are for training)"
        )
    first = nn.functional.pad(anew, (1, 0), value=True).expand(rows, -1).cpu()
    ends = [[*row.nonzero().flatten().tolist(), len(row)] for row in first]
    return [[end - begin for begin, end in pairwise(row)] for row in ends]


def check_labels(labels: Tensor, lengths: Lengths) -> None:
    """Refuse labels that the last token of another sample would have to predict."""
    length = labels.shape[1]
    firsts = [place for place in accumulate(chain.from_iterable(lengths)) if place % length]
    wrong = [place for place in firsts if labels.reshape(-1)[place] != IGNORED] if firsts else []
    if wrong:
        row, place = divmod(wrong[0], length)
        raise ValueError(
            f"the label of token {place} of row {row} is the first of its sample, and only the sample before could "
            f"predict it; set the labels of {len(wrong)} first tokens to {IGNORED}"
        )


def attention_inputs(config: PreTrainedConfig, lengths: Lengths, device: torch.device) -> dict[str, Any]:
    """What makes a language model's self-attention stay inside samples, as keyword arguments of its forward.

    SDPA gets a mask that is known by its blocks; flash attention where each sample begins. The eager and the flex form,
    and SDPA where a sample is longer than the model's window or the model is compiled, get nothing: transformers makes
    their masks from `position_ids`.

    Raises:
        ValueError: the model's attention, or a layer that is no attention, would mix samples.
    """
    _check_layers(config)
    kind = config._attn_implementation
    longest = max(map(max, lengths))
    if is_flash_attention_requested(config):
        ends = torch.tensor([0, *accumulate(chain.from_iterable(lengths))], dtype=torch.int32, device=device)
        return {"cu_seq_lens_q": ends, "cu_seq_lens_k": ends, "max_length_q": longest, "max_length_k": longest}
    if kind not in MASK_FROM_POSITIONS:
        raise ValueError(
            f"samples that share a row need flash attention or one of {', '.join(MASK_FROM_POSITIONS)}, "
            f"but the language model runs {kind!r}, of which it is not known that it keeps them apart"
        )
    windows = [getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size")]
    if kind == "sdpa" and all(window is None or longest <= window for window in windows) and by_blocks():
        return {"attention_mask": SampleMask([[Block(count, count) for count in row] for row in lengths], device)}
    return {}


def by_blocks() -> bool:
    """Whether masks may be known by their blocks: `torch.compile` would compile anew for every layout of a row."""
    return not torch.compiler.is_compiling()


def _check_layers(config: PreTrainedConfig) -> None:
    """Refuse layers that carry a state along the row, such as linear attention."""
    kinds = set(getattr(config, "layer_types", None) or ())
    if others := sorted(kind for kind in kinds if not kind.endswith("_attention") or "linear" in kind):
        raise ValueError(
            f"the language model has layers of the kind {', '.join(others)}, which would carry one sample of a packed "
            "row over into the next; train it on rows of one sample"
        )


class Block(NamedTuple):
    """The tokens of one sample and the keys they read.

    Attributes:
        queries: so many tokens, after those of the block before.
        keys: so many keys, after those of the block before; without keys, attention gives zeros.
        allowed: (queries, keys) bool; None is causal, for self-attention.
    """

    queries: int
    keys: int
    allowed: Tensor | None = None


class SampleMask(Tensor):
    """A bool mask (B, 1, S, K) that is false outside a row's blocks, and is never written out.

    Scaled dot product attention with this mask computes the blocks one by one and nothing between them, as
    `torch.nn.attention.bias` does for its masks. Every other operation sees the mask written out, so none can be wrong.

    Args:
        blocks: of each row, in order: their queries are all S tokens, their keys the first of the K keys.
        device: of the mask.
        keys: K; None where the blocks have them all.
    """

    blocks: Sequence[Sequence[Block]]

    @staticmethod
    def __new__(cls, blocks: Sequence[Sequence[Block]], device: torch.device, keys: int | None = None) -> "SampleMask":
        """Only shape, type and device are those of a tensor: all elements are one byte."""
        length = sum(block.queries for block in blocks[0])
        keys = length if keys is None else keys
        empty = torch.zeros((), dtype=torch.bool, device=device).expand(len(blocks), 1, length, keys)
        mask: SampleMask = torch.Tensor._make_subclass(cls, empty)
        mask.blocks = blocks
        return mask

    def written_out(self) -> Tensor:
        """The mask as a plain tensor."""
        full = torch.zeros(self.shape, dtype=torch.bool, device=self.device)
        for row, blocks in zip(full[:, 0], self.blocks, strict=True):
            query = key = 0
            for block in blocks:
                place = row[query : query + block.queries, key : key + block.keys]
                place.copy_(torch.ones_like(place).tril() if block.allowed is None else block.allowed)
                query, key = query + block.queries, key + block.keys
        return full

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            return _attend(*args, **kwargs)
        if func in OF_ANY_TENSOR:
            return super().__torch_function__(func, types, args, kwargs)  # type: ignore[no-untyped-call]
        plain = tree_map(lambda value: value.written_out() if isinstance(value, cls) else value, (args, kwargs))
        return func(*plain[0], **plain[1])


OF_ANY_TENSOR = {
    *(getattr(Tensor, name).__get__ for name in ("shape", "ndim", "dtype", "device", "requires_grad")),
    Tensor.is_floating_point,
    torch.is_floating_point,
}
"""What may be asked of the mask without writing it out."""


def _attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: SampleMask,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Scaled dot product attention, (B, H, S, d), block by block."""
    if is_causal:
        raise ValueError("scaled dot product attention got a mask and is_causal; give one of them")
    options = {"dropout_p": dropout_p, "scale": scale, "enable_gqa": enable_gqa}
    rows = zip(attn_mask.blocks, query.split(1), key.split(1), value.split(1), strict=True)  # type: ignore[no-untyped-call]
    return torch.cat([_attend_row(*row, options) for row in rows])


def _attend_row(blocks: Sequence[Block], query: Tensor, key: Tensor, value: Tensor, options: dict[str, Any]) -> Tensor:
    """One row. It is split, not sliced: the gradient of many slices would be many full tensors."""
    counts = [block.keys for block in blocks]
    counts.append(key.shape[-2] - sum(counts))  # keys that nothing reads
    queries: tuple[Tensor, ...] = query.split([block.queries for block in blocks], dim=-2)  # type: ignore[no-untyped-call]
    keys, values = key.split(counts, dim=-2), value.split(counts, dim=-2)  # type: ignore[no-untyped-call]
    return torch.cat(
        [
            F.scaled_dot_product_attention(q, k, v, attn_mask=block.allowed, is_causal=block.allowed is None, **options)
            if block.keys
            else q.new_zeros(*q.shape[:-1], v.shape[-1])
            for block, q, k, v in zip(blocks, queries, keys, values, strict=False)
        ],
        dim=-2,
    )
