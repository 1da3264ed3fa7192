import pytest

from nvlm.evaluation.intervals import mean_score


def test_wilson_interval_of_a_known_case():
    score = mean_score([1.0] * 8 + [0.0] * 2)  # Wilson's 95 % interval of 8 in 10
    assert (score.mean, score.n) == (0.8, 10)
    assert score.low == pytest.approx(0.4902, abs=1e-4)
    assert score.high == pytest.approx(0.9433, abs=1e-4)


def test_all_right_is_not_certain():
    assert mean_score([1.0] * 500).low == pytest.approx(0.9924, abs=1e-4)


def test_scores_in_between_get_the_normal_interval():
    score = mean_score([0.5, 1.0, 0.0, 0.5])
    assert score.mean == 0.5
    assert score.high - score.mean == pytest.approx(1.959964 * (0.5 / 3) ** 0.5 / 2)


def test_no_answers_is_an_error():
    with pytest.raises(ValueError, match="at least one answer"):
        mean_score([])
