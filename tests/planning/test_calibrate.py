import itertools

import pytest

import nvlm.planning.calibrate as calibrating
from nvlm.planning.calibrate import Point, calibrate, fit, narrow, pass_flops, plain_layers
from tests.modeling.batches import config
from tests.planning.test_workload import workload


def test_the_line_through_two_points():
    rate = fit(Point(1e9, 0.03), Point(3e9, 0.05), layers=2, where="a test")
    assert rate.flops == pytest.approx(1e11)
    assert rate.layer_seconds == pytest.approx(0.01)
    assert rate.counts_recompute
    assert rate.source == "measured on a test: 100 GFLOP/s and 10 ms per layer"


def test_a_busy_machine_is_mentioned():
    rate = fit(Point(1e9, 0.03, share=0.5), Point(3e9, 0.05), layers=2, where="a test")
    assert rate.source.endswith("(others were using it: too slow)")


def test_a_line_below_the_origin_has_no_overhead():
    assert fit(Point(1e9, 0.01), Point(3e9, 0.05), layers=2, where="a test").layer_seconds == 0


def test_a_longer_pass_that_is_no_slower_is_refused():
    with pytest.raises(ValueError, match="is the machine busy"):
        fit(Point(1e9, 0.05), Point(3e9, 0.05), layers=2, where="a test")


def test_this_machine_is_measured_on_the_models_own_layers(monkeypatch):
    """The passes are real, their times are not: a second for each of the short ones, three for each of the long."""
    spans = [1.0] * (calibrating.REPEATS + 2) + [3.0] * (calibrating.REPEATS + 2)
    times = itertools.accumulate(spans)
    monkeypatch.setattr(calibrating, "clock", lambda device: next(times))
    found = calibrate(config("H"), workload(text=300, supervised=50, rows=4))
    short, long = found.points
    assert found.width == 32
    assert long.flops > 2 * short.flops  # attention grows faster than its length
    assert (short.seconds, long.seconds) == (1.0, 3.0)
    assert found.machine.memory > 2**28
    assert found.rate.flops == found.machine.peak == (long.flops - short.flops) / 2


def test_wide_models_are_measured_narrower():
    small = plain_layers(config("D"))
    before = pass_flops(small, 100)
    narrow(small)
    assert (small.text_config.hidden_size, small.text_config.num_attention_heads) == (16, 2)
    assert small.text_config.head_dim == 8
    assert before / 4.5 < pass_flops(small, 100) < before / 2
