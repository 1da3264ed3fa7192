"""Optimisers of a stage: AdamW, and on request Muon for the weight matrices."""

import torch
from torch import nn
from torch.optim import AdamW, Muon, Optimizer

from nvlm.training.stages import Stage

BOUNDARIES = ("embed", "lm_head", "heads.", "connector")
"""Parts of names at the model's borders, where scale matters: Muon's steps have one size, and its outputs grow."""


def build_optimizers(model: nn.Module, stage: Stage) -> dict[str, Optimizer]:
    """Optimisers over the parameters that learn.

    With ``stage.matrix_lr`` the matrices inside the layers go to Muon; embeddings, patch filters, vectors and gates
    stay with AdamW.

    Raises:
        ValueError: nothing learns.
    """
    learning = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    if not learning:
        raise ValueError(f"stage {stage.name} trains nothing: every parameter is frozen")
    matrices = [parameter for name, parameter in learning if stage.matrix_lr and _is_matrix(name, parameter)]
    chosen = set(map(id, matrices))
    others = [parameter for _, parameter in learning if id(parameter) not in chosen]
    optimizers: dict[str, Optimizer] = {}
    if matrices:
        optimizers["muon"] = Muon(matrices, lr=stage.matrix_lr, weight_decay=stage.weight_decay)
    if others:
        optimizers["adamw"] = AdamW(
            others, lr=stage.peak_lr, betas=stage.betas, weight_decay=stage.weight_decay, fused=True
        )
    return optimizers


def set_rates(optimizers: dict[str, Optimizer], stage: Stage, step: int) -> None:
    """Learning rates of ``step`` for every optimiser of the stage."""
    peaks = {"muon": stage.matrix_lr, "adamw": stage.peak_lr}
    for name, optimizer in optimizers.items():
        for group in optimizer.param_groups:
            group["lr"] = peaks[name] * stage.rate(step)


def _is_matrix(name: str, parameter: torch.Tensor) -> bool:
    return parameter.ndim == 2 and not any(part in name for part in BOUNDARIES)
