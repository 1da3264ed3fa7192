"""FLOPs of a step of a stage, for the share of the machine's peak that its log names."""

from collections.abc import Mapping
from dataclasses import replace

from nvlm.modeling.config import NVLMConfig
from nvlm.planning.flops import sample_flops, total
from nvlm.planning.layouts import skeleton
from nvlm.planning.parameters import VISION, choose_learning
from nvlm.planning.workload import shape_of
from nvlm.recipes.recipe import ImageStage, Recipe
from nvlm.recipes.running.feeding import Mean
from nvlm.recipes.workloads import workload_of
from nvlm.training.engine import StepFlops


def step_flops(recipe: Recipe, stage: ImageStage, config: NVLMConfig, mean: Mean) -> StepFlops:
    """A step's totals → its FLOPs with and without the vision encoder, as if all samples had the blend's mean size."""
    tiles = min(stage.max_tiles, max(0, round(mean.views) - (1 if mean.views > 1 else 0)))
    planned = replace(workload_of(recipe, stage, text=1, tiles=tiles), supervised=1)
    pictured = shape_of(config, planned).sequence - 1
    text = max(1, round(mean.tokens) - pictured)
    supervised = min(text, max(1, round(mean.supervised)))
    model = skeleton(config)
    choose_learning(model, stage.trainable)
    flops = sample_flops(model, replace(planned, text=text, supervised=supervised))
    everything, vision = total(flops).both, flops[VISION].both

    def of_step(totals: Mapping[str, float]) -> tuple[float, float]:
        return totals["samples"] * everything, totals["samples"] * (everything - vision)

    return of_step
