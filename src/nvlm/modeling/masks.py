"""Who may read which view: one mask over the keys in memory, shared by all cross-attention layers.

Axes: B rows, S tokens of the sequence, M views in memory, G tokens of a view's tag, N tokens of a view,
K = M · (G + N) keys.
"""

from itertools import accumulate, pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from nvlm.modeling.packed import Block, Lengths, SampleMask, by_blocks

__all__ = ["Memory", "may_read"]


class Memory(NamedTuple):
    """What travels through the decoder, as a keyword argument, to its cross-attention layers.

    Attributes:
        states: (B, K, D) what is read; None when every layer finds its keys and values in the cache.
        mask: (B, 1, S, K) bool, token s attends to key k. Tokens without anything to read attend everywhere, so that no
            softmax is over nothing; `readers` then discards what they got. In packed rows only the own sample's keys
            are ever looked at.
        readers: (B, S, 1) bool, token s reads anything at all.
    """

    states: Tensor | None
    mask: Tensor
    readers: Tensor


def may_read(
    views_BSM: Tensor, tag_ids_BMG: Tensor | None, tokens_per_view: int, lengths: Lengths | None = None
) -> tuple[Tensor, Tensor]:
    """`Memory.mask` and `Memory.readers` from the views that each token may read.

    Args:
        views_BSM: bool, token s may read view m.
        tag_ids_BMG: the tags that stand in memory before their views; -1 pads. None without tags in memory.
        tokens_per_view: N.
        lengths: the samples of packed rows, from `packed.sample_lengths`.

    Returns:
        mask (B, 1, S, K) and readers (B, S, 1), both bool. Where nobody reads anything the mask is no `SampleMask`: its
        blocks would leave the keys out of the graph, and sharded training needs their gradients, zero, all the same.
    """
    views_BSM = views_BSM.bool()
    rows, _, views = views_BSM.shape
    valid = views_BSM.new_ones(rows, views, tokens_per_view)
    if tag_ids_BMG is not None:
        valid = torch.cat([tag_ids_BMG >= 0, valid], dim=2)
    readers = views_BSM.any(-1, keepdim=True)
    owned = None if lengths is None or not by_blocks() else views_by_sample(views_BSM, lengths)
    if lengths is not None and owned is not None and any(map(any, owned)):
        return _blocks(views_BSM, valid, lengths, owned), readers
    allowed = (views_BSM[..., None] & valid[:, None]).flatten(2)
    return (allowed | ~readers)[:, None], readers


def views_by_sample(views_BSM: Tensor, lengths: Lengths) -> Lengths | None:
    """How many views in memory each sample takes, after those of the samples before it.

    None where samples do not take turns: two of them read one view, or a later one an earlier view.
    """
    owned: Lengths = []
    for row, counts in zip(views_BSM.cpu(), lengths, strict=True):
        taken = [0]
        for tokens in row.split(counts):
            read = tokens.any(0).nonzero().flatten().tolist()
            if read and read[0] < taken[-1]:
                return None
            taken.append(read[-1] + 1 if read else taken[-1])
        owned.append([last - first for first, last in pairwise(taken)])
    return owned


def _blocks(views_BSM: Tensor, valid_BMK: Tensor, lengths: Lengths, owned: Lengths) -> SampleMask:
    """The mask of packed rows: each sample's tokens with its own keys."""
    keys_per_view = valid_BMK.shape[2]
    rows: list[list[Block]] = []
    for views, valid, counts, own in zip(views_BSM, valid_BMK, lengths, owned, strict=True):
        blocks = []
        for tokens, last, count in zip(views.split(counts), accumulate(own), own, strict=True):
            mine = slice(last - count, last)
            allowed = (tokens[:, mine, None] & valid[mine]).flatten(1)
            blocks.append(Block(len(tokens), count * keys_per_view, allowed | ~allowed.any(-1, keepdim=True)))
        rows.append(blocks)
    return SampleMask(rows, views_BSM.device, keys=views_BSM.shape[2] * keys_per_view)
