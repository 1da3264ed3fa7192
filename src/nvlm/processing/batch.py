"""Rows → the tensors of one batch, padded.

Legend: B rows, S tokens, V views of the whole batch, I and M views of a row in the sequence and in memory, G tokens of
a tag.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from nvlm.processing.layout import Bools, Ints
from nvlm.processing.tags import View

IGNORED = -100
"""The label of a token that is not supervised."""


class LaidOut(Protocol):
    """What becomes a row of a batch: one sample (`Row`), or several that share it (`PackedRow`)."""

    @property
    def input_ids(self) -> Ints: ...
    @property
    def supervised(self) -> Bools: ...
    @property
    def all_views(self) -> tuple[View, ...]: ...
    @property
    def sequence_views(self) -> list[int]: ...
    @property
    def memory_views(self) -> list[int]: ...
    @property
    def memory_tags(self) -> list[str]: ...
    def __len__(self) -> int: ...
    def readable(self) -> Bools: ...


def collate(
    rows: Sequence[LaidOut],
    *,
    pad_token_id: int,
    padding_side: str,
    supervise: bool,
    tag_ids: Callable[[str], list[int]],
) -> dict[str, torch.Tensor]:
    """One batch of everything but pixels.

    Returns:
        * `input_ids`, `attention_mask` int64 (B, S); `labels` int64 (B, S) with `supervise`, -100 where not supervised
        * `sequence_views` (B, I), `memory_views` (B, M) int64: indices into V, -1 pads. Absent where no row has any
        * `cross_attention_mask` bool (B, S, M): may the token read the memory view; with `memory_views`
        * `memory_tag_ids` int64 (B, M, G): the tag before its view in memory, -1 pads. Absent where no tag stands in
        memory

    Raises:
        ValueError: an unknown padding side.
    """
    if padding_side not in ("left", "right"):
        raise ValueError(f"padding_side is {padding_side!r}; it must be 'left' or 'right'")
    length = max(map(len, rows))
    places = [slice(length - len(row), length) if padding_side == "left" else slice(0, len(row)) for row in rows]
    input_ids = np.full((len(rows), length), pad_token_id, np.int64)
    attention_mask = np.zeros((len(rows), length), np.int64)
    for number, (row, place) in enumerate(zip(rows, places, strict=True)):
        input_ids[number, place] = row.input_ids
        attention_mask[number, place] = 1
    batch: dict[str, NDArray[Any]] = {"input_ids": input_ids, "attention_mask": attention_mask}
    if supervise:
        batch["labels"] = np.full((len(rows), length), IGNORED, np.int64)
        for labels, row, place in zip(batch["labels"], rows, places, strict=True):
            labels[place] = np.where(row.supervised, row.input_ids, IGNORED)
    batch |= _view_indices(rows)
    if "memory_views" in batch:
        batch |= _memory(rows, places, batch["memory_views"].shape[1], length, tag_ids)
    return {name: torch.from_numpy(values) for name, values in batch.items()}


def _view_indices(rows: Sequence[LaidOut]) -> dict[str, NDArray[Any]]:
    """The rows' view numbers as indices into the views of the batch."""
    firsts = [0, *accumulate(len(row.all_views) for row in rows)]
    indices: dict[str, NDArray[Any]] = {}
    for name in ("sequence_views", "memory_views"):
        numbers = [getattr(row, name) for row in rows]
        if longest := max(map(len, numbers)):
            indices[name] = np.full((len(rows), longest), -1, np.int64)
            for values, own, first in zip(indices[name], numbers, firsts, strict=False):
                values[: len(own)] = np.add(own, first)
    return indices


def _memory(
    rows: Sequence[LaidOut], places: Sequence[slice], views: int, length: int, tag_ids: Callable[[str], list[int]]
) -> dict[str, NDArray[Any]]:
    """Who reads which memory view, and the tags that stand in memory."""
    mask = np.zeros((len(rows), length, views), np.bool_)
    for number, (row, place) in enumerate(zip(rows, places, strict=True)):
        mask[number, place, : len(row.memory_views)] = row.readable()
    memory: dict[str, NDArray[Any]] = {"cross_attention_mask": mask}
    tags = [[tag_ids(tag) if tag else [] for tag in row.memory_tags] for row in rows]
    if longest := max(len(ids) for row_tags in tags for ids in row_tags):
        memory["memory_tag_ids"] = np.full((len(rows), views, longest), -1, np.int64)
        for number, row_tags in enumerate(tags):
            for view, ids in enumerate(row_tags):
                memory["memory_tag_ids"][number, view, : len(ids)] = ids
    return memory
