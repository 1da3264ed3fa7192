from dataclasses import replace

import pytest

from nvlm.modeling import ARCHITECTURES
from nvlm.planning.flops import total
from nvlm.planning.gpus import Gpu
from nvlm.planning.layouts import skeleton
from nvlm.planning.measured import MeasuredStep, compare
from nvlm.planning.memory import SINGLE
from nvlm.planning.stage import Rate, StagePlan, assumed_rate, plan_stage
from tests.modeling.batches import config
from tests.planning.test_workload import workload

LEARNING = ("connector.*", "language_model.*")
SMALL = Gpu("small", memory=2**20, peak=1e12)
WORK = workload(trainable=LEARNING, batch=8, steps=10)


def plan(architecture: str = "D", gpu: Gpu = SMALL, gpus: int = 1, rate: Rate | None = None) -> StagePlan:
    model = skeleton(config(architecture))
    return plan_stage(model, WORK, gpu, gpus, rate or assumed_rate(gpu, 0.5))


@pytest.fixture(scope="module")
def enough() -> StagePlan:
    return plan(gpu=replace(SMALL, memory=2**30))


def test_time_follows_from_flops_and_rate(enough: StagePlan):
    assert enough.time is not None
    assert enough.time.step == pytest.approx(8 * total(enough.flops).both / 0.5e12)
    assert enough.time.stage == pytest.approx(10 * enough.time.step)
    vision = enough.flops["vision encoder"].both
    assert enough.time.stage - enough.time.stage_with_features == pytest.approx(80 * vision / 0.5e12)


def test_a_measured_rate_adds_time_per_layer_and_pass(enough: StagePlan):
    slow = plan(gpu=replace(SMALL, memory=2**30), rate=Rate(0.5e12, "measured", layer_seconds=0.1))
    assert slow.time is not None
    assert enough.time is not None
    assert slow.time.step - enough.time.step == pytest.approx(8 * 4 * 0.1)  # eight passes of four layers


def test_the_layout_is_the_smallest_whose_peak_leaves_a_tenth_free(enough: StagePlan):
    assert (str(enough.layout), enough.fewest) == ("one GPU", enough.layout)
    assert enough.memory.activations == enough.kept > enough.recomputed
    tight = plan(gpu=replace(SMALL, memory=round(enough.memory.peak / 0.9) - 10))
    assert tight.layout is not None
    assert tight.layout.recompute
    assert tight.memory.activations == tight.recomputed == enough.recomputed


def test_what_does_not_fit_says_how_many_gpus_it_takes():
    least = plan(gpu=replace(SMALL, memory=1000), gpus=4).memory.peak
    gpu = replace(SMALL, memory=round(least / 0.9) + 10)
    found = plan(gpu=gpu)
    assert (found.layout, found.time) == (None, None)
    assert found.memory.peak > least
    assert found.fewest is not None
    assert 1 < found.fewest.gpus <= 4
    assert plan(gpu=gpu, gpus=found.fewest.gpus).layout == found.fewest


def test_what_fits_nowhere_says_so():
    found = plan(gpu=replace(SMALL, memory=1000))
    assert (found.layout, found.fewest) == (None, None)


def test_a_step_is_as_slow_as_the_gpu_with_the_most_samples():
    three = plan(gpu=replace(SMALL, memory=2**30), gpus=3)
    four = plan(gpu=replace(SMALL, memory=2**30), gpus=4)
    assert three.time is not None
    assert four.time is not None
    assert three.time.step == pytest.approx(1.5 * four.time.step)  # 3 samples of 8 against 2


@pytest.mark.parametrize(("gpus", "message"), [(0, "at least one GPU, not 0"), (32, "8 samples in a step, too few")])
def test_impossible_numbers_of_gpus_are_refused(gpus: int, message: str):
    with pytest.raises(ValueError, match=message):
        plan(gpus=gpus)


@pytest.mark.parametrize("mfu", [0, 1.2, -0.1])
def test_an_mfu_is_a_share(mfu: float):
    with pytest.raises(ValueError, match="share of the peak"):
        assumed_rate(SMALL, mfu)


def test_one_process_in_float32():
    model = skeleton(config("H"))
    found = plan_stage(model, WORK, replace(SMALL, memory=2**30), 1, assumed_rate(SMALL, 0.5), SINGLE)
    assert found.memory.buffers == 0


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_measured_step_gives_its_mfu(architecture: str):
    model = skeleton(config(architecture))
    measured = MeasuredStep("a test", seconds=2.0, stage="sft", gpu="h100-80g", gpus=4, batch=8, text=100, tiles=6)
    found = compare(model, measured, LEARNING)
    assert found.samples_per_second == 4
    assert found.mfu == pytest.approx(found.sample_flops * 8 / (2.0 * 4 * 989e12))
