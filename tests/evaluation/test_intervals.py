import pytest

from nvlm.evaluation.intervals import change, mean_score


def test_wilson_interval_of_a_known_case():
    score = mean_score([1.0] * 8 + [0.0] * 2)  # Wilson's 95 % interval of 8 in 10
    assert (score.mean, score.n, score.interval) == (0.8, 10, "Wilson")
    assert score.low == pytest.approx(0.4902, abs=1e-4)
    assert score.high == pytest.approx(0.9433, abs=1e-4)


def test_all_right_is_not_certain():
    assert mean_score([1.0] * 500).low == pytest.approx(0.9924, abs=1e-4)


def test_scores_in_between_get_a_bootstrap_interval():
    scores = [0.0, 0.25, 0.5, 1.0] * 100
    score = mean_score(scores)
    assert (score.mean, score.interval) == (0.4375, "bootstrap")
    half = 1.96 * (sum((each - 0.4375) ** 2 for each in scores) / 400) ** 0.5 / 20
    assert score.high - score.mean == pytest.approx(half, rel=0.08)  # 2,000 resamples: some 3 % of the half width
    assert score.mean - score.low == pytest.approx(half, rel=0.08)
    assert mean_score(scores) == score


def test_scores_beyond_one_are_not_taken_for_right_or_wrong():
    assert mean_score([0.0, 0.0], bounded=False).interval == "bootstrap"


def test_no_answers_is_an_error():
    with pytest.raises(ValueError, match="at least one answer"):
        mean_score([])


def paired(*pairs: tuple[float, float], times: int = 1):
    both = list(pairs) * times
    scores = {str(number): score for number, (score, _) in enumerate(both)}
    return change(scores, {str(number): bare for number, (_, bare) in enumerate(both)} | {"another": 1.0})


def test_the_paired_interval_of_a_known_case():
    """Agresti and Min (2005): 20 pairs, 6 gained and 2 lost: (b - c) / (n + 2) = 4/22, se² = (9 - 4²/22) / 22²."""
    found = paired(*[(1.0, 0.0)] * 6, *[(0.0, 1.0)] * 2, *[(1.0, 1.0)] * 12)
    half = 1.959964 * (9 - 16 / 22) ** 0.5 / 22
    assert found.mean == 0.2
    assert (found.low, found.high) == (pytest.approx(4 / 22 - half), pytest.approx(4 / 22 + half))
    assert (found.n, found.verdict) == (20, "not enough data")


@pytest.mark.parametrize(
    ("pairs", "times", "verdict"),
    [
        ([(1.0, 1.0)], 3, "not enough data"),  # nothing changed, but three questions do not show that
        ([(1.0, 1.0), (0.0, 0.0)], 500, "kept"),
        ([(1.0, 0.0), (0.0, 1.0), *[(1.0, 1.0)] * 48], 100, "kept"),
        ([(0.0, 1.0), (1.0, 1.0)], 50, "lost"),
        ([(1.0, 0.0), (0.0, 0.0)], 50, "gained"),
        ([(0.6, 0.5), (0.4, 0.5)], 500, "kept"),
    ],
)
def test_verdicts(pairs, times, verdict):
    assert paired(*pairs, times=times).verdict == verdict


def test_a_difference_needs_shared_questions():
    with pytest.raises(ValueError, match="no question"):
        change({"a": 1.0}, {"b": 1.0})
