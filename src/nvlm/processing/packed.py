"""Samples that share a row → the tensors of a packed batch.

Legend: B rows, S tokens, M views in memory, V views of the whole batch.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain

import numpy as np
import torch

from nvlm.processing.batch import collate
from nvlm.processing.layout import Bools, Ints, Row
from nvlm.processing.tags import View


@dataclass(frozen=True)
class PackedRow:
    """Samples one after another in one row. Views are numbered over the row, by sample as the sample numbers them."""

    samples: tuple[Row, ...]

    def __post_init__(self) -> None:
        if not self.samples:
            raise ValueError("a packed row needs at least one sample")

    def __len__(self) -> int:
        return sum(map(len, self.samples))

    @cached_property
    def input_ids(self) -> Ints:
        """(S,): the tokens of all samples."""
        return np.concatenate([sample.input_ids for sample in self.samples])

    @cached_property
    def supervised(self) -> Bools:
        """(S,): never a sample's first token, which only the sample before could predict."""
        supervised = np.concatenate([sample.supervised for sample in self.samples])
        supervised[self.starts] = False
        return supervised

    @cached_property
    def starts(self) -> list[int]:
        """Where each sample begins."""
        return _firsts(map(len, self.samples))

    @cached_property
    def position_ids(self) -> Ints:
        """(S,): from 0 in every sample."""
        return np.concatenate([np.arange(len(sample)) for sample in self.samples])

    @cached_property
    def all_views(self) -> tuple[View, ...]:
        return tuple(chain.from_iterable(sample.all_views for sample in self.samples))

    @cached_property
    def sequence_views(self) -> list[int]:
        """The views in the sequence, in the order of their slots."""
        return self._numbered([sample.sequence_views for sample in self.samples])

    @cached_property
    def memory_views(self) -> list[int]:
        """The views in memory."""
        return self._numbered([sample.memory_views for sample in self.samples])

    @cached_property
    def memory_tags(self) -> list[str]:
        """The tag that stands in memory before each memory view; empty where none does."""
        return list(chain.from_iterable(sample.memory_tags for sample in self.samples))

    def readable(self) -> Bools:
        """(S, M): may the token read the memory view? Never one of another sample."""
        readable = np.zeros((len(self), len(self.memory_views)), np.bool_)
        views = _firsts(len(sample.memory_views) for sample in self.samples)
        for sample, token, view in zip(self.samples, self.starts, views, strict=True):
            readable[token : token + len(sample), view : view + len(sample.memory_views)] = sample.readable()
        return readable

    def _numbered(self, views: Sequence[Sequence[int]]) -> list[int]:
        """Numbers of views over a sample as numbers over the row."""
        firsts = _firsts(len(sample.all_views) for sample in self.samples)
        return [first + number for own, first in zip(views, firsts, strict=True) for number in own]


def collate_packed(
    rows: Sequence[PackedRow], *, pad_token_id: int, supervise: bool, tag_ids: Callable[[str], list[int]]
) -> dict[str, torch.Tensor]:
    """One batch of everything but pixels, as `collate` describes, for rows that hold several samples.

    In place of `attention_mask` there are `position_ids` int64 (B, S), which begin anew at every sample and at the
    padding: that is how the model knows them apart.
    """
    batch = collate(rows, pad_token_id=pad_token_id, padding_side="right", supervise=supervise, tag_ids=tag_ids)
    length = batch.pop("attention_mask").shape[1]
    positions = [np.concatenate([row.position_ids, np.arange(length - len(row))]) for row in rows]
    return batch | {"position_ids": torch.from_numpy(np.stack(positions))}


def _firsts(counts: Iterable[int]) -> list[int]:
    """Where each of several stretches begins, one after another."""
    return list(accumulate(counts, initial=0))[:-1]
