"""Which samples share a row: planned from their sizes alone, before any picture is decoded.

A row has room for so many tokens and, apart from that, for so many views: of the memory that cross-attention reads, and
of all that the vision encoder has to encode.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from nvlm.processing.layout import Row

Key: TypeAlias = int | str
"""What names a sample where it comes from."""


class Size(NamedTuple):
    """What a sample takes of a row: tokens of the sequence, views in memory, and all its views."""

    tokens: int
    memory_views: int = 0
    views: int = 0


class Piece(NamedTuple):
    """Tokens `first` to `last` - 1 of a sample; all of them, unless it was split."""

    key: Key
    first: int
    last: int


@dataclass(frozen=True)
class Budget:
    """What a row has room for; None is no limit.

    Raises:
        ValueError: no room for a token, or less than none for views.
    """

    tokens: int
    memory_views: int | None = None
    views: int | None = None

    def __post_init__(self) -> None:
        if self.tokens < 1:
            raise ValueError(f"a row of {self.tokens} tokens holds no sample; a budget has at least 1 token")
        for name in ("memory_views", "views"):
            if (value := getattr(self, name)) is not None and value < 0:
                raise ValueError(f"the budget of {name} is {value}; it must be 0 or more, or None for no limit")

    def holds(self, size: Size) -> bool:
        """Whether a sample of this size fits into an empty row."""
        return all(limit is None or taken <= limit for taken, limit in zip(size, self.limits, strict=True))

    def compared(self, size: Size) -> str:
        """What a sample takes, and what a row has, in words."""
        pairs = zip(Size._fields, size, self.limits, strict=True)
        return ", ".join(
            f"{taken:,} {name.replace('_', ' ')} where a row has {limit:,}"
            for name, taken, limit in pairs
            if limit is not None and taken > limit
        )

    @property
    def limits(self) -> tuple[int | None, ...]:
        """In the order of `Size`."""
        return (self.tokens, self.memory_views, self.views)


@dataclass
class PackingReport:
    """What went into rows so far, and what did not.

    Attributes:
        rows: planned.
        tokens, memory_views, views: in them.
        samples: taken from the source.
        too_long: of these, larger than a row and left out.
        split: of these, text larger than a row that became several pieces.
        row_tokens: room of a row.
    """

    row_tokens: int
    rows: int = 0
    tokens: int = 0
    memory_views: int = 0
    views: int = 0
    samples: int = 0
    too_long: int = 0
    split: int = 0

    @property
    def fill(self) -> float:
        """Share of the rows' tokens that are not padding; 1.0 before the first row."""
        return self.tokens / (self.rows * self.row_tokens) if self.rows else 1.0

    def __str__(self) -> str:
        return (
            f"{self.samples:,} samples in {self.rows:,} rows of {self.row_tokens:,} tokens, {self.fill:.1%} filled; "
            f"{self.too_long:,} too long and left out, {self.split:,} split"
        )


class RowPlanner:
    """Puts samples of a stream into rows: the same stream, the same rows.

    Each row begins with the sample that has waited longest, so none waits for more than `lookahead` rows. Then, as long
    as one fits, it takes the sample whose size points most in the direction of the room that is left – the largest dot
    product of the two, each dimension as a share of its budget (Panigrahy et al., Heuristics for vector bin packing,
    2011) – so that no budget is used up while much of another is free.

    Args:
        budget: of a row.
        lookahead: how many samples wait to be placed, at most. More fill rows better, and mix the order further.
        too_long: a sample larger than a row is counted, and with "drop" left out. With "split", one without views
            becomes as few pieces of like length as fit, each of which sees nothing of the others: right for plain text,
            wrong for answers whose question would stay behind. One with views is left out in any case.

    Raises:
        ValueError: an unknown rule, or a lookahead below 1.
    """

    def __init__(self, budget: Budget, lookahead: int = 256, too_long: str = "drop") -> None:
        if too_long not in ("drop", "split"):
            raise ValueError(f"too_long is {too_long!r}; it must be 'drop' or 'split'")
        if lookahead < 1:
            raise ValueError(f"lookahead is {lookahead}, but at least 1 sample must wait to be placed")
        self.budget, self.lookahead, self.too_long = budget, lookahead, too_long
        self.report = PackingReport(row_tokens=budget.tokens)
        self._waiting: list[tuple[Piece, Size]] = []
        self._room = np.array([np.iinfo(np.int64).max if limit is None else limit for limit in budget.limits])
        self._weights = np.array([1 / limit**2 if limit else 0.0 for limit in budget.limits])

    def rows(self, samples: Iterable[tuple[Key, Size]]) -> Iterator[list[Piece]]:
        """Plan the rows of a stream, and at its end those of the samples that still wait.

        Whenever a row is given out, `report.samples` is the number of samples taken from the stream. Go on after
        `load_state_dict` with the stream from there.

        Raises:
            ValueError: a sample without tokens.
        """
        yield from self._full_rows()
        for key, size in samples:
            self._add(key, size)
            yield from self._full_rows()
        while self._waiting:
            yield self._next_row()

    def takes(self, size: Size) -> bool:
        """Whether a sample of this size finds a place, whole or in pieces."""
        return self.budget.holds(size) or (self.too_long == "split" and not size.views)

    def _full_rows(self) -> Iterator[list[Piece]]:
        while len(self._waiting) > self.lookahead:
            yield self._next_row()

    def _add(self, key: Key, size: Size) -> None:
        if size.tokens < 1:
            raise ValueError(f"sample {key!r} has {size.tokens} tokens; a sample has at least 1")
        self.report.samples += 1
        if self.budget.holds(size):
            self._waiting.append((Piece(key, 0, size.tokens), size))
        elif self.takes(size):
            self.report.split += 1
            self._waiting += [(piece, Size(piece.last - piece.first)) for piece in self._split(key, size.tokens)]
        else:
            self.report.too_long += 1

    def _split(self, key: Key, tokens: int) -> list[Piece]:
        count = -(-tokens // self.budget.tokens)
        edges = [tokens * number // count for number in range(count + 1)]
        return [Piece(key, first, last) for first, last in pairwise(edges)]

    def _next_row(self) -> list[Piece]:
        """Take a row from those that wait; its samples keep their order."""
        sizes = np.array([size for _, size in self._waiting])
        room = self._room - sizes[0]
        waits = np.ones(len(sizes), np.bool_)
        waits[0] = False
        while (fits := waits & (sizes <= room).all(1)).any():
            worth = (sizes * (room * self._weights)).sum(1)
            best = int(np.where(fits, worth, -1.0).argmax())
            waits[best] = False
            room -= sizes[best]
        self._count(sizes[~waits].sum(0).tolist())
        row = [piece for (piece, _), left in zip(self._waiting, waits, strict=True) if not left]
        self._waiting = [item for item, left in zip(self._waiting, waits, strict=True) if left]
        return row

    def _count(self, taken: list[int]) -> None:
        self.report.rows += 1
        self.report.tokens += taken[0]
        self.report.memory_views += taken[1]
        self.report.views += taken[2]

    def state_dict(self) -> dict[str, Any]:
        """Where the plan stands, as JSON values: its settings, its report, and the samples that wait."""
        waiting = [[*piece, *size] for piece, size in self._waiting]
        return {"settings": self._settings(), "report": asdict(self.report), "waiting": waiting}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state; the rows are those that would have come without the interruption.

        Raises:
            ValueError: the state was made with other settings.
        """
        wanted, found = self._settings(), state["settings"]
        if odd := [name for name in wanted if wanted[name] != found.get(name)]:
            raise ValueError(
                f"the saved plan of rows was made with another {', '.join(odd)} ({found.get(odd[0])!r} there, "
                f"{wanted[odd[0]]!r} now), so it cannot be continued"
            )
        self.report = PackingReport(**state["report"])
        count = len(Piece._fields)
        self._waiting = [(Piece(*values[:count]), Size(*values[count:])) for values in state["waiting"]]

    def _settings(self) -> dict[str, Any]:
        return asdict(self.budget) | {"lookahead": self.lookahead, "too_long": self.too_long}


def size_of(row: Row) -> Size:
    """What a laid-out sample takes of a row."""
    return Size(len(row), len(row.memory_views), len(row.all_views))


def cut(row: Row, piece: Piece) -> Row:
    """The part of a laid-out sample that a piece names."""
    return row if (piece.first, piece.last) == (0, len(row)) else row.part(piece.first, piece.last)
