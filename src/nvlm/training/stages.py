"""A stage is data: what trains, for how long, at which rate (paper section 4.5, tables 10 and 11)."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """One training stage.

    Attributes:
        name: of the stage, and of its folder.
        trainable: patterns (``fnmatch``) of the parameter names that learn; everything else is frozen.
        steps: optimiser steps.
        batch: samples per step.
        peak_lr, final_lr: learning rate after the warm-up and at the end, of AdamW.
        matrix_lr: peak rate of Muon for the weight matrices; 0 leaves every parameter to AdamW.
        warmup: steps of linear warm-up.
        steady: share of the steps after the warm-up that stay at the peak before the cosine begins.
        betas, weight_decay: of AdamW.
        clip: largest global gradient norm.
        seed: of everything random in the stage.
    """

    name: str
    trainable: tuple[str, ...]
    steps: int
    batch: int
    peak_lr: float
    final_lr: float
    warmup: int
    matrix_lr: float = 0.0
    steady: float = 0.0
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.0
    clip: float = 1.0
    seed: int = 0

    def rate(self, step: int) -> float:
        """Learning rate of ``step`` (from 0) as a share of the peak.

        Linear warm-up, a steady part, then a cosine to the final rate.
        """
        if step < self.warmup:
            return (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        falling = max(0.0, done - self.steady) / max(1e-9, 1 - self.steady)
        floor = self.final_lr / self.peak_lr
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, falling)))
