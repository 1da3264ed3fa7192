"""Who may read which view: one mask over the keys in memory, shared by all cross-attention layers.

Axes: B rows, S tokens of the sequence, M views in memory, G tokens of a view's tag, N tokens of a view,
K = M · (G + N) keys.
"""

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Memory", "may_read"]


class Memory(NamedTuple):
    """What travels through the decoder, as a keyword argument, to its cross-attention layers.

    Attributes:
        states: (B, K, D) what is read; None when every layer finds its keys and values in the cache.
        mask: (B, 1, S, K) bool, token s attends to key k. Tokens without anything to read attend everywhere, so that no
            softmax is over nothing; `readers` then discards what they got.
        readers: (B, S, 1) bool, token s reads anything at all.
    """

    states: Tensor | None
    mask: Tensor
    readers: Tensor


def may_read(views_BSM: Tensor, tag_ids_BMG: Tensor | None, tokens_per_view: int) -> tuple[Tensor, Tensor]:
    """`Memory.mask` and `Memory.readers` from the views that each token may read.

    Args:
        views_BSM: bool, token s may read view m.
        tag_ids_BMG: the tags that stand in memory before their views; -1 pads. None without tags in memory.

    Returns:
        mask (B, 1, S, K) and readers (B, S, 1), both bool.
    """
    rows, _, views = views_BSM.shape
    valid = views_BSM.new_ones(rows, views, tokens_per_view, dtype=torch.bool)
    if tag_ids_BMG is not None:
        valid = torch.cat([tag_ids_BMG >= 0, valid], dim=2)
    allowed = (views_BSM[..., None].bool() & valid[:, None]).flatten(2)
    readers = allowed.any(-1, keepdim=True)
    return (allowed | ~readers)[:, None], readers
