"""Optimisers of a stage: AdamW, and on request Muon for the weight matrices."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.optim import AdamW, Optimizer

from nvlm.training.muon import Float32Muon
from nvlm.training.stages import Stage

BOUNDARIES = ("embed", "lm_head", "heads.", "connector")
"""Parts of names at the model's borders, where scale matters: Muon's steps have one size, and its outputs grow."""


def build_optimizers(model: nn.Module, stage: Stage) -> dict[str, Optimizer]:
    """Optimisers over the parameters that learn.

    With ``stage.matrix_lr`` the matrices inside the layers go to Muon; embeddings, patch filters, vectors and gates
    stay with AdamW.

    Raises:
        ValueError: nothing learns, or Muon is to work on matrices of which every process has a part.
    """
    learning = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    if not learning:
        raise ValueError(f"stage {stage.name} trains nothing: every parameter is frozen")
    matrices = [parameter for name, parameter in learning if stage.matrix_lr and _is_matrix(name, parameter)]
    if any(isinstance(matrix, DTensor) for matrix in matrices):
        raise ValueError(
            f"stage {stage.name} gives matrices to Muon, which needs them whole, but the layout cuts them; train "
            "replicas of the model, or set matrix_lr to 0"
        )
    chosen = set(map(id, matrices))
    others = [parameter for _, parameter in learning if id(parameter) not in chosen]
    optimizers: dict[str, Optimizer] = {}
    if matrices:
        optimizers["muon"] = Float32Muon(matrices, lr=stage.matrix_lr, weight_decay=stage.weight_decay)
    if others:
        groups = [{"params": group} for group in _by_mesh(others)]
        optimizers["adamw"] = AdamW(
            groups, lr=stage.peak_lr, betas=stage.betas, weight_decay=stage.weight_decay, fused=True
        )
    return optimizers


def set_rates(optimizers: dict[str, Optimizer], stage: Stage, step: int) -> None:
    """Learning rates of ``step`` for every optimiser of the stage."""
    peaks = {"muon": stage.matrix_lr, "adamw": stage.peak_lr}
    for name, optimizer in optimizers.items():
        for group in optimizer.param_groups:
            group["lr"] = peaks[name] * stage.rate(step)


def _by_mesh(parameters: Iterable[Tensor]) -> list[list[Tensor]]:
    """Parameters that one fused step can take together: those that the same processes share."""
    groups: dict[object, list[Tensor]] = {}
    for parameter in parameters:
        groups.setdefault(parameter.device_mesh if isinstance(parameter, DTensor) else None, []).append(parameter)
    return list(groups.values())


def _is_matrix(name: str, parameter: torch.Tensor) -> bool:
    return parameter.ndim == 2 and not any(part in name for part in BOUNDARIES)
