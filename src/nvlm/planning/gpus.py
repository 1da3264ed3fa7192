"""Kinds of GPUs: memory and speed as their makers publish them."""

from dataclasses import dataclass
from difflib import get_close_matches

__all__ = ["GPUS", "USABLE", "Gpu", "find_gpu"]

GIB = 2**30
USABLE = 0.9
"""Share of the memory that a plan fills; the rest is the driver's, the communication library's, and fragmentation."""


@dataclass(frozen=True)
class Gpu:
    """One GPU.

    Attributes:
        name: as on the command line.
        memory: bytes.
        peak: FLOP/s of dense bf16 matrix products.
        per_node: GPUs with a fast connection between them; tensor parallelism stays inside.
    """

    name: str
    memory: int
    peak: float
    per_node: int = 8


GPUS = {
    gpu.name: gpu
    for gpu in (
        Gpu("a100-40g", 40 * GIB, 312e12),
        Gpu("a100-80g", 80 * GIB, 312e12),
        Gpu("h100-80g", 80 * GIB, 989e12),
        Gpu("h200-141g", 141 * 10**9, 989e12),
        Gpu("b200-180g", 180 * 10**9, 2250e12),
        Gpu("l40s-48g", 48 * GIB, 362e12),
        Gpu("rtx4090-24g", 24 * GIB, 165e12),
    )
}
"""Peaks are those of the data sheets, without sparsity; of the H100 and A100 the SXM form."""


def find_gpu(kind: str) -> Gpu:
    """The row called `kind`, or a `ValueError` that offers the nearest."""
    if kind not in GPUS:
        near = get_close_matches(kind.lower(), GPUS, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(GPUS)}"
        raise ValueError(f"unknown GPU {kind!r}: {hint}")
    return GPUS[kind]
