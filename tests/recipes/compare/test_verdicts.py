import pytest

from nvlm.evaluation.intervals import Change
from nvlm.recipes.compare.evidence import Difference
from nvlm.recipes.compare.timing import Median, median_of, speed_up
from nvlm.recipes.compare.verdicts import Comparison, better, faster, not_lost, together


def found(low: float, high: float, *seeds: float) -> Difference:
    kept = "kept" if low >= -0.02 and high <= 0.02 else "not enough data"
    return Difference(Change((low + high) / 2, low, high, 100, kept), seeds)


@pytest.mark.parametrize(
    ("difference", "verdict"),
    [
        (found(0.01, 0.09, 0.04, 0.06), "holds"),
        (found(0.01, 0.09, 0.04, -0.01), "cannot tell"),  # the seeds disagree
        (found(0.01, 0.09, 0.05), "cannot tell"),  # one seed
        (found(-0.01, 0.09, 0.04, 0.05), "cannot tell"),
        (found(-0.09, -0.01, -0.04, -0.06), "does not hold"),
        (found(-0.09, -0.01, -0.1, 0.01), "cannot tell"),
        (found(-0.015, 0.015, -0.01, 0.01), "does not hold"),  # there is no difference
        (found(0.005, 0.015, 0.01, 0.01), "holds"),  # a small one, but there
        (None, "cannot tell"),
    ],
)
def test_better(difference: Difference | None, verdict: str):
    assert better("a over b", difference).verdict == verdict


@pytest.mark.parametrize(
    ("difference", "verdict"),
    [
        (found(-0.015, 0.05, 0.0, 0.03), "holds"),
        (found(-0.015, 0.05, -0.03, 0.06), "cannot tell"),
        (found(-0.03, 0.05, 0.0, 0.02), "cannot tell"),
        (found(-0.09, -0.01, -0.04, -0.06), "does not hold"),
        (found(0.02, 0.05, 0.03), "cannot tell"),
        (None, "cannot tell"),
    ],
)
def test_not_lost(difference: Difference | None, verdict: str):
    assert not_lost("a against b", difference).verdict == verdict


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [
        (Median(1.5, 1.2, 1.7, 12), "holds"),
        (Median(1.5, 0.9, 1.7, 12), "cannot tell"),
        (Median(0.8, 0.7, 0.9, 12), "does not hold"),
        (Median(1.5, 1.2, 1.7, 5), "cannot tell"),  # too few rounds for an interval
        (None, "cannot tell"),
    ],
)
def test_faster(ratio: Median | None, verdict: str):
    assert faster("a against b", ratio).verdict == verdict


def test_a_finding_of_several_comparisons():
    def lines(*verdicts):
        return [Comparison("", "", verdict) for verdict in verdicts]

    assert together(lines("holds", "holds")) == "holds"
    assert together(lines("holds", "cannot tell")) == "cannot tell"
    assert together(lines("cannot tell", "does not hold", "holds")) == "does not hold"


def test_numbers_are_said_with_interval_and_seeds():
    assert better("d over x", found(0.01, 0.09, 0.04, 0.06)).numbers == (
        "+5.0 points [+1.0, +9.0], n = 100; by seed +4.0, +6.0"
    )


RANKS = [(1, 1, 1), (6, 1, 6), (10, 2, 9), (15, 4, 12), (20, 6, 15), (25, 8, 18)]
"""Values, and the ranks between which the true median stands with 95 %: 6 values are the fewest."""


@pytest.mark.parametrize(("n", "low", "high"), RANKS)
def test_the_interval_of_a_median_stands_between_order_statistics(n: int, low: int, high: int):
    found = median_of([float(value) for value in range(n, 0, -1)])
    assert (found.low, found.high, found.n) == (low, high, n)


def test_a_speed_up_is_taken_within_rounds():
    slow, fast = [2.0, 20.0, 200.0], [1.0, 10.0, 100.0]  # the machine was busy with something else
    assert speed_up(slow, fast).value == 2.0
    with pytest.raises(ValueError, match="at least one"):
        median_of([])
