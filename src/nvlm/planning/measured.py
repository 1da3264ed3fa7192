"""A published time of a step beside what the FLOPs say about it."""

from dataclasses import dataclass

from nvlm.modeling.model import NVLMForConditionalGeneration
from nvlm.planning.flops import sample_flops, total
from nvlm.planning.gpus import find_gpu
from nvlm.planning.parameters import choose_learning
from nvlm.planning.workload import Workload

__all__ = ["Comparison", "MeasuredStep", "compare"]


@dataclass(frozen=True)
class MeasuredStep:
    """What somebody measured.

    Attributes:
        source: where it is published.
        seconds: of a step.
        stage: of the recipe, for what it trains.
        gpu, gpus: what it ran on.
        batch: samples of a step.
        text, tiles: of every sample, tags within the text.
    """

    source: str
    seconds: float
    stage: str
    gpu: str
    gpus: int
    batch: int
    text: int
    tiles: int


@dataclass(frozen=True)
class Comparison:
    """A measured step beside the FLOPs of this planner.

    Attributes:
        samples_per_second: as measured.
        sample_flops: of one sample, as this planner counts.
        mfu: share of the GPUs' peak that follows from both.
    """

    measured: MeasuredStep
    samples_per_second: float
    sample_flops: float
    mfu: float


def compare(model: NVLMForConditionalGeneration, measured: MeasuredStep, trainable: tuple[str, ...]) -> Comparison:
    """What a measured step says about a model (on the `meta` device; what learns is marked in it anew)."""
    workload = Workload(
        name=measured.stage,
        trainable=trainable,
        steps=1,
        batch=measured.batch,
        text=measured.text,
        tiles=measured.tiles,
        tag_tokens=0,
        supervised=measured.text,
    )
    choose_learning(model, trainable)
    flops = total(sample_flops(model, workload)).both
    speed = measured.batch / measured.seconds
    return Comparison(measured, speed, flops, flops * speed / (measured.gpus * find_gpu(measured.gpu).peak))
