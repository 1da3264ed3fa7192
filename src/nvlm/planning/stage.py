"""The plan of one stage of one architecture: everything that the other modules compute, put together."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

from nvlm.modeling.config import NVLMConfig
from nvlm.modeling.model import NVLMForConditionalGeneration
from nvlm.planning.activations import Activations, measure_activations
from nvlm.planning.disk import Disk, disk_of
from nvlm.planning.flops import Flops, sample_flops, total
from nvlm.planning.gpus import USABLE, Gpu
from nvlm.planning.memory import MIXED, Memory, Precision, gpu_memory
from nvlm.planning.parameters import CROSS, LAYERS, VISION, Count, choose_learning, count_parameters
from nvlm.planning.sharding import Layout, fewest_gpus, layouts, smallest
from nvlm.planning.workload import Shape, Workload, shape_of

__all__ = ["Rate", "StagePlan", "Time", "assumed_rate", "plan_stage"]


@dataclass(frozen=True)
class Rate:
    """How fast a GPU works.

    Attributes:
        flops: FLOP/s.
        layer_seconds: of every layer's forward and backward pass beside that, whatever its size.
        counts_recompute: whether `flops` were counted with what is computed twice; an MFU's are not.
        source: where it comes from, in words.
    """

    flops: float
    source: str
    layer_seconds: float = 0.0
    counts_recompute: bool = False


def assumed_rate(gpu: Gpu, mfu: float) -> Rate:
    """A share of the GPU's peak; an MFU counts no FLOPs that are only there to save memory.

    Raises:
        ValueError: a share that is not above 0 and at most 1.
    """
    if not 0 < mfu <= 1:
        raise ValueError(f"an MFU is a share of the peak above 0 and up to 1, not {mfu:g}")
    return Rate(gpu.peak * mfu, f"assumed MFU {100 * mfu:.3g} %")


@dataclass(frozen=True)
class Time:
    """Seconds: of a step, of the whole stage, and of the stage with features from a store in place of the encoder."""

    step: float
    stage: float
    stage_with_features: float


@dataclass(frozen=True)
class StagePlan:
    """One stage of one architecture on some GPUs.

    Attributes:
        architecture: "D", "X" or "H".
        workload: what the stage does.
        shape: tokens and views of a sample.
        parts: parameters by part.
        flops: of a sample, by part.
        layout: the smallest that fits the GPUs; None when none does.
        memory: of one GPU in that layout, or in the one that comes nearest.
        kept, recomputed: bytes of activations that are kept for the backward pass there: all, or every layer's input.
        fewest: the smallest layout over the fewest GPUs.
        time: None without a layout.
        disk: for the stage.
    """

    architecture: str
    workload: Workload
    shape: Shape
    parts: dict[str, Count]
    flops: dict[str, Flops]
    layout: Layout | None
    memory: Memory
    kept: int
    recomputed: int
    fewest: Layout | None
    time: Time | None
    disk: Disk

    @property
    def sample_flops(self) -> Flops:
        """All parts together."""
        return total(self.flops)


def plan_stage(
    model: NVLMForConditionalGeneration,
    workload: Workload,
    gpu: Gpu,
    gpus: int,
    rate: Rate,
    precision: Precision = MIXED,
) -> StagePlan:
    """Plan one stage.

    Args:
        model: on the `meta` device; what learns is marked in it anew.

    Raises:
        ValueError: no GPU, more GPUs than a batch can be spread over, or a pattern that matches no parameter.
    """
    config: NVLMConfig = model.config
    if gpus < 1:
        raise ValueError(f"a run needs at least one GPU, not {gpus}")
    candidates = list(layouts(config, gpu, gpus, workload.batch))
    if not candidates:
        raise ValueError(
            f"stage {workload.name} has {workload.batch} samples in a step, too few to spread over {gpus} GPUs; "
            "take fewer GPUs or a larger batch"
        )
    choose_learning(model, workload.trainable)
    parts, flops = count_parameters(model), sample_flops(model, workload)
    activations_of = cache(lambda tensor: measure_activations(config, workload, precision.compute, tensor))

    def memory_of(layout: Layout) -> Memory:
        return gpu_memory(config, parts, activations_of(layout.tensor), layout, workload.moments, precision)

    def fits(layout: Layout) -> bool:
        bare = gpu_memory(config, parts, Activations(), layout, workload.moments, precision)
        room = USABLE * gpu.memory
        return bare.peak <= room and memory_of(layout).peak <= room

    layout = smallest(config, gpu, gpus, workload.batch, fits)
    shown = layout or min(candidates, key=lambda each: memory_of(each).peak)
    return StagePlan(
        architecture=config.architecture,
        workload=workload,
        shape=shape_of(config, workload),
        parts=parts,
        flops=flops,
        layout=layout,
        memory=memory_of(shown),
        kept=memory_of(replace(shown, recompute=False)).activations,
        recomputed=memory_of(replace(shown, recompute=True)).activations,
        fewest=fewest_gpus(config, gpu, workload.batch, fits),
        time=None if layout is None else time_of(config, workload, flops, layout, rate),
        disk=disk_of(config, workload, parts.values()),
    )


def time_of(config: NVLMConfig, workload: Workload, flops: Mapping[str, Flops], layout: Layout, rate: Rate) -> Time:
    """Seconds of a step and of the stage.

    The GPU with the most samples sets the pace. Tensor parallelism shares everything but the encoder.
    """
    samples: int = math.ceil(workload.batch / layout.ranks)
    passes = math.ceil(samples / workload.rows) * config.text_config.num_hidden_layers
    twice = flops[LAYERS].forward + flops[CROSS].forward if layout.recompute and rate.counts_recompute else 0.0

    vision, all_parts = flops[VISION].both, total(dict(flops)).both

    def step(encoder: float) -> float:
        work = samples * (encoder + (all_parts - vision + twice) / layout.tensor)
        return work / rate.flops + float(passes * rate.layer_seconds)

    return Time(step(vision), workload.steps * step(vision), workload.steps * step(0.0))
