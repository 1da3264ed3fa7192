"""How long one step of Muon takes on nano's matrices: torch's, which iterates in bfloat16, and ours, in float32.

    OMP_NUM_THREADS=1 python benchmarks/muon.py

For each backbone the median time of both, in turns, and how far apart their weights are after a step, as a share of
the step.
"""

import copy
import statistics
import time

import torch
from torch import Tensor
from torch.optim import Muon, Optimizer

from nvlm.recipes.nano.backbones import read_backbones
from nvlm.recipes.nano.stages import LANGUAGE, VISION
from nvlm.training.muon import Float32Muon
from nvlm.training.optim import build_optimizers

ROUNDS = 7


def main() -> None:
    """Compare on both backbones."""
    torch.manual_seed(0)
    backbones = read_backbones()
    for model, stage in ((backbones.encoder, VISION), (backbones.language, LANGUAGE)):
        compare(type(model).__name__, build_optimizers(model, stage)["muon"].param_groups[0]["params"])


def compare(name: str, matrices: list[Tensor]) -> None:
    """Step copies of the matrices with both, in turns."""
    for matrix in matrices:
        matrix.grad = torch.randn_like(matrix)
    copies = [[copied(matrix) for matrix in matrices] for _ in range(2)]
    theirs, ours = Muon(copies[0], lr=1e-2), Float32Muon(copies[1], lr=1e-2)
    times = [[timed(theirs), timed(ours)]]
    apart = distance(copies[0], copies[1]) / distance(copies[0], matrices)
    times += [[timed(theirs), timed(ours)] for _ in range(ROUNDS - 1)]
    slow, fast = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"{name}: {len(matrices)} matrices, torch {slow:.3f} s, float32 {fast:.3f} s: {slow / fast:.1f} times")
    print(f"  apart after a step: {apart:.1%} of it; n = {ROUNDS}")


def copied(matrix: Tensor) -> Tensor:
    """A copy with its gradient."""
    found = copy.deepcopy(matrix)
    found.grad = None if matrix.grad is None else matrix.grad.clone()
    return found


def timed(optimizer: Optimizer) -> float:
    """Seconds of one step."""
    began = time.perf_counter()
    optimizer.step()
    return time.perf_counter() - began


def distance(some: list[Tensor], others: list[Tensor]) -> float:
    """Root of the summed squares of what tells two lists of matrices apart."""
    return sum(float((a - b).detach().square().sum()) for a, b in zip(some, others, strict=True)) ** 0.5


if __name__ == "__main__":
    main()
