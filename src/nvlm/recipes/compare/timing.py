"""Times that were measured in turns: medians, and how much faster one is than another, with 95 % intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from statistics import median

FEWEST = 6
"""Rounds below which no interval of the median has 95 % (2 · 0.5ⁿ is over 5 %)."""


@dataclass(frozen=True)
class Median:
    """A median over ``n`` rounds with its interval between two of the measured values (order statistics)."""

    value: float
    low: float
    high: float
    n: int


def median_of(values: Sequence[float]) -> Median:
    """The median, and the narrowest pair of order statistics that holds the true one in 95 % of samples.

    It takes nothing for granted about how times are spread. With fewer than `FEWEST` values it is as wide as they are,
    and less sure.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("a median needs at least one measured value, and there are none")
    ordered, n = sorted(values), len(values)
    sure = [rank for rank in range(1, n // 2 + 1) if 2 * sum(comb(n, k) for k in range(rank)) <= 0.05 * 2**n]
    rank = max(sure, default=1)
    return Median(median(ordered), ordered[rank - 1], ordered[n - rank], n)


def speed_up(slow: Sequence[float], fast: Sequence[float]) -> Median:
    """How many times as fast the second is: the median over rounds of the ratio of the times within a round."""
    return median_of([a / b for a, b in zip(slow, fast, strict=True)])
