from dataclasses import replace

import pytest

from nvlm.training.stages import Stage

STAGE = Stage(name="s", trainable=("*",), steps=100, batch=1, peak_lr=1e-2, final_lr=1e-3, warmup=10)


def test_warm_up_is_linear_and_ends_at_the_peak():
    assert [STAGE.rate(step) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])


def test_cosine_falls_from_the_peak_towards_the_final_rate():
    rates = [STAGE.rate(step) for step in range(10, 100)]
    assert rates[0] == 1.0
    assert rates == sorted(rates, reverse=True)
    assert STAGE.rate(55) == pytest.approx(0.1 + 0.9 / 2)
    assert rates[-1] == pytest.approx(0.1, abs=1e-3)
    assert STAGE.rate(100) == pytest.approx(0.1)


def test_rate_stays_at_the_final_one_beyond_the_stage():
    assert STAGE.rate(250) == pytest.approx(0.1)


def test_steady_part_keeps_the_peak():
    steady = replace(STAGE, steady=0.5)
    assert {steady.rate(step) for step in range(10, 56)} == {1.0}
    assert steady.rate(60) < 1.0
    assert steady.rate(100) == pytest.approx(0.1)


def test_wholly_steady_stage_never_falls_before_its_end():
    constant = replace(STAGE, steady=1.0)
    assert {constant.rate(step) for step in range(10, 100)} == {1.0}


def test_no_warm_up_starts_at_the_peak():
    assert replace(STAGE, warmup=0).rate(0) == 1.0


def test_rates_stay_between_zero_and_the_peak():
    for warmup in (0, 1, 10, 100, 150):
        stage = replace(STAGE, warmup=warmup)
        assert all(0 < stage.rate(step) <= 1 for step in range(100))
