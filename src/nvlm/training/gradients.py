"""Gradients after the last pass of a step: laid as the weights are, summed over replicas, measured by part, clipped."""

import math
from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from nvlm.training.ranks import FSDP, REPLICAS, TENSOR, Ranks
from nvlm.training.sharding import is_cut, local

Named = list[tuple[str, nn.Parameter]]

PARTS = ("cross_attention", "connector", "vision_model", "language_model")
"""Parts of the model, the first that is in a parameter's name; other models are named by their children."""


def learning(model: nn.Module) -> Named:
    """The parameters that learn, by name."""
    return [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]


def sum_replicas(named: Named, ranks: Ranks) -> None:
    """Add up the gradients of replicas, which FSDP does by itself; a missing one is zero where others have one."""
    if ranks.layout.replicas == 1:
        return
    here = ranks.largest([float(parameter.grad is not None) for _, parameter in named])
    gradients: list[Tensor] = []
    for (_, parameter), anywhere in zip(named, here, strict=True):
        if anywhere:
            parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            gradients.append(local(parameter.grad))
    for kind in dict.fromkeys(gradient.dtype for gradient in gradients):
        some = [gradient for gradient in gradients if gradient.dtype == kind]
        flat = torch.cat([gradient.flatten() for gradient in some])
        dist.all_reduce(flat, group=ranks.mesh.get_group(REPLICAS))
        sizes = [gradient.numel() for gradient in some]
        for gradient, total in zip(some, torch.split(flat, sizes), strict=True):
            gradient.copy_(total.view_as(gradient))


def lay_as_weights(named: Named) -> None:
    """Share every gradient out as its weight is: tensor parallelism leaves some whole, or as summands."""
    for _, parameter in named:
        gradient = parameter.grad
        if isinstance(gradient, DTensor) and gradient.placements != (wanted := parameter.placements):  # type: ignore[attr-defined]
            parameter.grad = gradient.redistribute(placements=wanted)


def clip(named: Named, limit: float, ranks: Ranks) -> dict[str, float]:
    """Scale gradients, in place, so that their norm is at most ``limit``; a norm that is not finite changes nothing.

    Returns:
        The norms before that: of everything under "all", and of every part.
    """
    having = [(name, parameter) for name, parameter in named if parameter.grad is not None]
    gradients = [local(parameter.grad) for _, parameter in having if parameter.grad is not None]
    if not gradients:
        return {"all": 0.0}
    norms = list(torch._foreach_norm(gradients))
    squares = _over_cuts(torch.stack(norms).double().square(), [parameter for _, parameter in having], ranks)
    parts: dict[str, float] = {"all": 0.0}
    for (name, _), square in zip(having, squares.tolist(), strict=True):
        for part in ("all", part_of(name)):
            parts[part] = parts.get(part, 0.0) + square
    parts = {part: math.sqrt(total) for part, total in parts.items()}
    if limit < parts["all"] < math.inf:
        torch._foreach_mul_(gradients, limit / (parts["all"] + 1e-6))
    return parts


def part_of(name: str) -> str:
    """The part of the model that a parameter belongs to.

    >>> part_of("language_model.model.layers.1.cross_attention.gate")
    'cross_attention'
    """
    pieces = name.split(".")
    return next((part for part in PARTS if part in pieces), pieces[0])


def gates(model: nn.Module, ranks: Ranks) -> dict[str, float]:
    """tanh(g) of every cross-attention gate, by the name of its layer."""
    found = [(name, each) for name, each in model.named_parameters() if name.endswith("cross_attention.gate")]
    if not found:
        return {}
    own = torch.stack([local(gate.detach()).double().sum() for _, gate in found])
    values = _over_cuts(own, [gate for _, gate in found], ranks).tanh().tolist()
    return {
        name.removesuffix(".cross_attention.gate").rpartition(".")[2]: value
        for (name, _), value in zip(found, values, strict=True)
    }


def _over_cuts(values: Tensor, tensors: Sequence[Tensor], ranks: Ranks) -> Tensor:
    """One number per tensor, summed over the processes that each hold a part of that tensor."""
    for dimension in (FSDP, TENSOR):
        cut = torch.tensor([is_cut(tensor, dimension) for tensor in tensors], device=values.device)
        if ranks.several and bool(cut.any()):
            values = torch.where(cut, ranks.sum_over(values.clone(), dimension), values)
    return values
