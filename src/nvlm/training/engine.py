"""How a stage is run: on which processes, in which precision, and what is kept and told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nvlm.planning.sharding import Layout
from nvlm.training.sharding import PRECISIONS

StepFlops = Callable[[Mapping[str, float]], tuple[float, float]]
"""A step's totals (``samples``, ``tokens``, ``images``, ``tiles`` …) → its FLOPs, and those without vision."""


@dataclass(frozen=True)
class Engine:
    """How a stage runs. But for ``accumulate``, none of it changes what is learned by more than rounding.

    Attributes:
        layout: how the processes share the model, as ``nvlm plan`` names it; None makes each a replica of its own.
        precision: "float32", or "bfloat16" for forward and backward passes and for what is frozen; what learns, sums of
            gradients and optimisers stay as the model came.
        accumulate: micro-batches that every lane gives to a step.
        kept: checkpoints that stay.
        background: go on while a checkpoint is written; a second copy of what is saved stands in main memory meanwhile.
        flops: FLOPs of a step, for the share of the machine's peak that the log names; None leaves it out.
        peak: FLOP/s of all devices together.
        tensorboard: also write what TensorBoard reads, into ``tensorboard`` in the run's folder.
    """

    layout: Layout | None = None
    precision: str = "float32"
    accumulate: int = 1
    kept: int = 2
    background: bool = False
    flops: StepFlops | None = None
    peak: float = 0.0
    tensorboard: bool = False

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision is {self.precision!r}; it is one of {', '.join(PRECISIONS)}")
        for name in ("accumulate", "kept"):
            if (value := getattr(self, name)) < 1:
                raise ValueError(f"{name} is {value}; it must be at least 1")
        if self.flops is not None and self.peak <= 0:
            raise ValueError(f"peak is {self.peak}, but flops can only be compared with a positive number of FLOP/s")
