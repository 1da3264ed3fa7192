"""A whole plan: every stage of every architecture that was asked for, on the same GPUs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nvlm.planning.gpus import Gpu
from nvlm.planning.measured import Comparison
from nvlm.planning.memory import Precision
from nvlm.planning.stage import Rate, StagePlan

__all__ = ["Plan"]


@dataclass(frozen=True)
class Plan:
    """What `nvlm plan` prints.

    Attributes:
        name: of the recipe.
        gpu, gpus: what it is planned for.
        rate: how fast one of them is.
        precision: what weights and layers are held in.
        recipes: the resolved recipes (dataclasses), by architecture.
        stages: by architecture, in the order in which they run.
        comparisons: with published times of a step, by architecture; empty where there are none.
        besides: what else a run of the recipe does, in a sentence; empty where that is nothing.
    """

    name: str
    gpu: Gpu
    gpus: int
    rate: Rate
    precision: Precision
    recipes: Mapping[str, Any]
    stages: Mapping[str, Sequence[StagePlan]]
    comparisons: Mapping[str, Comparison]
    besides: str = ""

    @property
    def fits(self) -> bool:
        """Is there a layout for every stage?"""
        return all(stage.layout is not None for stages in self.stages.values() for stage in stages)
