"""95 % intervals: of a mean score, and of the difference between two models on the same questions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Z = 1.959964
RESAMPLES = 2000
MARGIN = 0.02
"""A change of less than this counts as none."""


@dataclass(frozen=True)
class Score:
    """A mean over ``n`` answers with its 95 % interval, and how that was found."""

    mean: float
    low: float
    high: float
    n: int
    interval: str = "Wilson"

    def __str__(self) -> str:
        return self.text()

    def text(self, unit: str = " %") -> str:
        """The score times 100."""
        return f"{100 * self.mean:.1f}{unit} [{100 * self.low:.1f}, {100 * self.high:.1f}], n = {self.n}"


@dataclass(frozen=True)
class Change:
    """A model's mean score less a baseline's on the same ``n`` questions, with its 95 % interval and what it says."""

    mean: float
    low: float
    high: float
    n: int
    verdict: str

    def __str__(self) -> str:
        low, high = 100 * self.low, 100 * self.high
        return f"{100 * self.mean:+.1f} points [{low:+.1f}, {high:+.1f}], n = {self.n}: {self.verdict}"


def mean_score(scores: Sequence[float], bounded: bool = True) -> Score:
    """Mean with Wilson's interval (Wilson 1927) for right-or-wrong scores, a bootstrap one for scores in between.

    Args:
        bounded: scores are between 0 and 1; CIDEr's are not, so that 0 and 1 do not mean wrong and right.

    Raises:
        ValueError: there are no scores.
    """
    n = len(scores)
    if n == 0:
        raise ValueError("a score needs at least one answer, and there are none")
    mean = sum(scores) / n
    if not bounded or any(score not in (0.0, 1.0) for score in scores):
        return Score(mean, *_bootstrap(scores), n, "bootstrap")
    centre = (mean + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * math.sqrt(mean * (1 - mean) / n + Z * Z / (4 * n * n))
    return Score(mean, max(0.0, centre - half), min(1.0, centre + half), n)


def change(scores: Mapping[str, float], baseline: Mapping[str, float]) -> Change:
    """The paired difference over the questions that both have scores for, by their ids.

    The interval is Agresti and Min's (2005) for matched proportions: Wald's after adding half a pair of each kind,
    which keeps it honest for few questions, and where nothing changed. The verdict is "kept" where all of it is within
    ``MARGIN`` of 0, "lost" or "gained" where all of it is on one side, and "not enough data" otherwise.

    Raises:
        ValueError: no question has both.
    """
    shared = [name for name in scores if name in baseline]
    if not shared:
        raise ValueError("no question was answered by both the model and the baseline")
    differences = [scores[name] - baseline[name] for name in shared]
    n = len(shared)
    centre = sum(differences) / (n + 2)
    spread = (sum(each * each for each in differences) + 1) / (n + 2) - centre * centre
    half = Z * math.sqrt(spread / (n + 2))
    low, high = max(-1.0, centre - half), min(1.0, centre + half)
    return Change(sum(differences) / n, low, high, n, _verdict(low, high))


def _verdict(low: float, high: float) -> str:
    if low >= -MARGIN and high <= MARGIN:
        return "kept"
    if high < 0:
        return "lost"
    return "gained" if low > 0 else "not enough data"


def _bootstrap(scores: Sequence[float]) -> tuple[float, float]:
    """The 2.5th and 97.5th percentile of the means of resampled scores (Efron 1979), the same at every call.

    How often each distinct score is drawn is drawn at once, so that this is quick also for many answers.
    """
    values, counts = np.unique(np.asarray(scores, dtype=np.float64), return_counts=True)
    generator = np.random.default_rng(0)
    shares = counts / counts.sum()
    means = [generator.multinomial(len(scores), shares) @ values / len(scores) for _ in range(RESAMPLES)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
