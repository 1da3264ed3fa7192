"""95 % intervals of a mean score."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z = 1.959964


@dataclass(frozen=True)
class Score:
    """A mean over ``n`` answers with its 95 % interval."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{100 * self.mean:.1f} % [{100 * self.low:.1f}, {100 * self.high:.1f}], n = {self.n}"


def mean_score(scores: Sequence[float]) -> Score:
    """Mean with Wilson's interval (Wilson 1927) for right-or-wrong scores, the normal one for scores in between.

    Raises:
        ValueError: there are no scores.
    """
    n = len(scores)
    if n == 0:
        raise ValueError("a score needs at least one answer, and there are none")
    mean = sum(scores) / n
    if any(score not in (0.0, 1.0) for score in scores):
        half = Z * math.sqrt(sum((score - mean) ** 2 for score in scores) / max(1, n - 1) / n)
        return Score(mean, max(0.0, mean - half), min(1.0, mean + half), n)
    centre = (mean + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * math.sqrt(mean * (1 - mean) / n + Z * Z / (4 * n * n))
    return Score(mean, max(0.0, centre - half), min(1.0, centre + half), n)
