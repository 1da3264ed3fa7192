"""How fast this machine is: decoder layers of the model's own shape, at two lengths, and a straight line through both.

seconds = layers · overhead + FLOPs / rate
"""

import os
import platform
import time
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from nvlm.modeling.config import NVLMConfig
from nvlm.modeling.model import NVLMForConditionalGeneration
from nvlm.planning.activations import two_layers
from nvlm.planning.flops import sample_flops
from nvlm.planning.gpus import Gpu
from nvlm.planning.layouts import skeleton
from nvlm.planning.parameters import LAYERS, choose_learning
from nvlm.planning.stage import Rate
from nvlm.planning.workload import Workload, shape_of

__all__ = ["Calibration", "Point", "calibrate", "fit", "this_machine"]

MOST_CPU_FLOPS = 1e12
"""Of one measured pass on a CPU, so that it takes seconds; a wider model is measured narrower."""
REPEATS = 5
BUSY = 0.7
"""A process that has one CPU for a smaller share of its time is not alone."""


@dataclass(frozen=True)
class Point:
    """A measured forward and backward pass.

    Attributes:
        share: of the time, that the process had the CPU.
    """

    flops: float
    seconds: float
    share: float = 1.0


@dataclass(frozen=True)
class Calibration:
    """What was measured on what."""

    machine: Gpu
    points: tuple[Point, Point]
    width: int
    rate: Rate


def calibrate(config: NVLMConfig, workload: Workload) -> Calibration:
    """Measure this machine's first GPU, or its CPU, for about a minute at most.

    Raises:
        ValueError: the longer pass was not slower than the shorter one.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    small = plain_layers(config)
    longer = max(2, workload.rows * shape_of(config, workload).sequence)
    lengths = (longer // 2, longer)
    if device == "cpu":
        while pass_flops(small, longer) > MOST_CPU_FLOPS and small.text_config.num_attention_heads % 2 == 0:
            narrow(small)
    points = [measure(small, length, device) for length in lengths]
    machine = this_machine(device)
    rate = fit(points[0], points[1], small.text_config.num_hidden_layers, machine.name)
    return Calibration(replace(machine, peak=rate.flops), (points[0], points[1]), small.text_config.hidden_size, rate)


def fit(short: Point, long: Point, layers: int, where: str) -> Rate:
    """The line through two points.

    Raises:
        ValueError: it does not rise.
    """
    if long.seconds <= short.seconds:
        raise ValueError(
            f"a pass of {long.flops:.3g} FLOPs took {long.seconds:.3g} s and one of {short.flops:.3g} took "
            f"{short.seconds:.3g} s; is the machine busy? Measure again, or give --mfu"
        )
    rate = (long.flops - short.flops) / (long.seconds - short.seconds)
    overhead = max(0.0, short.seconds - short.flops / rate) / layers
    source = f"measured on {where}: {rate / 1e9:,.4g} GFLOP/s and {overhead * 1000:.3g} ms per layer"
    if min(short.share, long.share) < BUSY:
        source += " (others were using it: too slow)"
    return Rate(rate, source, overhead, counts_recompute=True)


def this_machine(device: str) -> Gpu:
    """What a run here would have; its peak is not known."""
    if device == "cuda":
        found = torch.cuda.get_device_properties(0)
        return Gpu(found.name, found.total_memory, 0.0, torch.cuda.device_count())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Gpu(f"this CPU ({platform.machine()}, {torch.get_num_threads()} threads)", memory, 0.0, 1)


def measure(config: NVLMConfig, length: int, device: str) -> Point:
    """The fastest of some forward and backward passes of one row of `length` tokens."""
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    model: nn.Module = NVLMForConditionalGeneration(config)
    decoder: Any = model.to(device=device, dtype=dtype).train().language_model.model  # type: ignore[union-attr]
    embeds = torch.randn(1, length, config.text_config.hidden_size, device=device, dtype=dtype, requires_grad=True)
    ends, cpu = [], time.process_time()
    for _ in range(REPEATS + 1):
        ends.append(clock(device))
        decoder(inputs_embeds=embeds, use_cache=False).last_hidden_state.sum().backward()
    ends.append(clock(device))
    share = (time.process_time() - cpu) / (ends[-1] - ends[0])
    fastest = min(after - before for before, after in list(pairwise(ends))[1:])
    return Point(pass_flops(config, length), fastest, share if device == "cpu" else 1.0)


def clock(device: str) -> float:
    """Seconds, after everything before has been computed."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def pass_flops(config: NVLMConfig, length: int) -> float:
    """FLOPs of a forward and backward pass of the decoder layers on `length` tokens."""
    model = skeleton(config)
    choose_learning(model, ("*",))
    pass_ = Workload("calibration", ("*",), 1, 1, text=length, tiles=0, tag_tokens=0, supervised=1)
    return sample_flops(model, pass_)[LAYERS].both


def plain_layers(config: NVLMConfig) -> NVLMConfig:
    """Two decoder layers of the model's width and next to nothing else."""
    small = two_layers(config, tensor=1)
    small.text_config.vocab_size, small.image_token_id = 8, 0
    small.text_config.pad_token_id = None
    return small


def narrow(config: NVLMConfig) -> None:
    """Halve the width: half the heads, of the same size."""
    text = config.text_config
    groups = text.num_attention_heads // text.num_key_value_heads
    text.num_attention_heads //= 2
    text.num_key_value_heads = max(1, text.num_attention_heads // groups)
    text.hidden_size //= 2
    text.intermediate_size //= 2
