"""How a training run may be spread over GPUs, and the smallest such layout whose memory fits.

Three ways, multiplied: every layer shared by the `tensor` GPUs of a group (tensor parallelism), all weights, gradients
and optimiser states shared by `fsdp` such groups (FSDP), and `replicas` of all of that (HSDP). Activations are kept for
the backward pass, or computed again.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nvlm.modeling.config import NVLMConfig
from nvlm.modeling.tensor_parallel import check_divides
from nvlm.planning.gpus import Gpu

__all__ = ["Layout", "fewest_gpus", "layouts", "smallest"]

MOST_GPUS = 2**14


@dataclass(frozen=True)
class Layout:
    """One way to spread a run over `fsdp` · `tensor` · `replicas` GPUs."""

    fsdp: int = 1
    tensor: int = 1
    replicas: int = 1
    recompute: bool = False

    @property
    def gpus(self) -> int:
        """All of them."""
        return self.fsdp * self.tensor * self.replicas

    @property
    def ranks(self) -> int:
        """How many parts a batch is cut into."""
        return self.fsdp * self.replicas

    def __str__(self) -> str:
        ways = (("FSDP", self.fsdp), ("TP", self.tensor), ("HSDP", self.replicas))
        return " x ".join(f"{name} {size}" for name, size in ways if size > 1) or "one GPU"


def layouts(config: NVLMConfig, gpu: Gpu, gpus: int, batch: int) -> Iterator[Layout]:
    """All layouts over exactly `gpus` GPUs, the smallest first.

    Small is: few GPUs share the weights, then few share a layer, then nothing is computed twice. Every rank has one
    sample of a batch at least, and heads are shared evenly within a node.
    """
    for sharing in divisors(gpus):
        for tensor in divisors(sharing):
            if tensor <= gpu.per_node and divides(config, tensor) and gpus // tensor <= batch:
                for recompute in (False, True):
                    yield Layout(sharing // tensor, tensor, gpus // sharing, recompute)


def smallest(config: NVLMConfig, gpu: Gpu, gpus: int, batch: int, fits: Callable[[Layout], bool]) -> Layout | None:
    """The first of `layouts` that fits; None when none does."""
    return next((layout for layout in layouts(config, gpu, gpus, batch) if fits(layout)), None)


def fewest_gpus(config: NVLMConfig, gpu: Gpu, batch: int, fits: Callable[[Layout], bool]) -> Layout | None:
    """The smallest layout over the fewest GPUs, a power of two; None when it fits nowhere."""
    count = 1
    while count <= MOST_GPUS:
        if (layout := smallest(config, gpu, count, batch, fits)) is not None:
            return layout
        count *= 2
    return None


def divisors(number: int) -> list[int]:
    """Of a number, from 1 to itself."""
    return [candidate for candidate in range(1, number + 1) if number % candidate == 0]


def divides(config: NVLMConfig, tensor: int) -> bool:
    """Can so many GPUs share the language model's heads and feed-forward evenly?"""
    try:
        check_divides(config, tensor)
    except ValueError:
        return False
    return int(config.text_config.intermediate_size) % tensor == 0
