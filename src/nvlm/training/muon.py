"""Muon in float32: what `torch.optim.Muon` does, without bfloat16, which many CPUs compute far more slowly."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Muon


class Float32Muon(Muon):
    """`torch.optim.Muon`, with the same state; matrices of one shape are orthogonalised together (decision 0046).

    Args:
        matrices: that are to be trained.
        lr, weight_decay, nesterov: as torch's; its rates are adjusted to a matrix's shape as in Keller Jordan's Muon.
    """

    def __init__(
        self, matrices: Iterable[Tensor], lr: float = 1e-3, weight_decay: float = 0.1, nesterov: bool = True
    ) -> None:
        super().__init__(matrices, lr=lr, weight_decay=weight_decay, nesterov=nesterov)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step; the closure's loss, if there is a closure."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            by_shape = defaultdict[torch.Size, list[Tensor]](list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape[parameter.shape].append(parameter)
            for parameters in by_shape.values():
                self._step_together(group, parameters)
        return loss

    def _step_together(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        """Step matrices of one shape: momentum, orthogonalisation, decay, update."""
        lr = float(group["lr"])
        wanted = torch.stack([self._momentum(group, parameter) for parameter in parameters])
        updates = orthogonalise(wanted, group["ns_coefficients"], group["ns_steps"], group["eps"])
        rows, columns = parameters[0].shape
        for parameter, update in zip(parameters, updates, strict=True):
            parameter.mul_(1 - lr * group["weight_decay"])
            parameter.add_(update, alpha=-lr * max(1.0, rows / columns) ** 0.5)

    def _momentum(self, group: dict[str, Any], parameter: Tensor) -> Tensor:
        """The direction before orthogonalisation; the running average is kept."""
        gradient, momentum = parameter.grad, group["momentum"]
        assert gradient is not None, "parameters without a gradient are left out"
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        average: Tensor = state["momentum_buffer"]
        average.lerp_(gradient, 1 - momentum)
        if not group["nesterov"]:
            return average
        ahead: Tensor = gradient.lerp(average, momentum)
        return ahead


def orthogonalise(matrices: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """Newton-Schulz: (M, R, C) → matrices with the same singular vectors and singular values near 1, in float32."""
    a, b, c = coefficients
    found: Tensor = matrices.float()
    if tall := found.shape[1] > found.shape[2]:
        found = found.mT
    found = found / torch.linalg.matrix_norm(found, keepdim=True).clamp(min=eps)
    for _ in range(steps):
        gram = found @ found.mT
        found = a * found + (b * gram + c * gram @ gram) @ found
    return found.mT if tall else found
