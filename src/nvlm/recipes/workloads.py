"""A recipe's stage as the planner reads it: every sample as large as the stage allows, unless told otherwise."""

import math

from nvlm.planning.workload import Workload, shape_of
from nvlm.recipes.recipe import ImageStage, Recipe


def workload_of(
    recipe: Recipe,
    stage: ImageStage,
    *,
    text: int | None = None,
    tiles: int | None = None,
    samples: int | None = None,
) -> Workload:
    """What ``stage`` asks of the recipe's model.

    Args:
        text: tokens of a sample beside image tokens and tags; by default the length is filled with text, as the
            released scripts fill it with padding.
        tiles: regular tiles of a sample's picture; by default as many as the stage allows.
        samples: of the stage, in place of the recipe's steps.

    Raises:
        ValueError: more tiles than the stage allows, or a sample longer than its length.
    """
    tiles = stage.max_tiles if tiles is None else tiles
    if tiles > stage.max_tiles:
        raise ValueError(
            f"{tiles} tiles in a picture, but stage {stage.name} of {recipe.name} allows {stage.max_tiles}"
        )
    if samples is not None and samples < 1:
        raise ValueError(f"{samples} samples are too few to train on")
    spread = (("TP", stage.tensor_parallel), ("PP", stage.pipeline_parallel))
    steps = stage.steps if samples is None else math.ceil(samples / stage.batch)

    def filled_with(tokens: int) -> Workload:
        return Workload(
            name=stage.name,
            trainable=stage.trainable,
            steps=steps,
            batch=stage.batch,
            text=tokens,
            tiles=tiles,
            tag_tokens=recipe.model.tag_tokens if stage.tags.format != "none" else 0,
            supervised=math.ceil(tokens * stage.supervised),
            moments=1 if stage.matrix_lr else 2,
            rows=stage.rows,
            stored_features=stage.stored_features,
            published=" x ".join(f"{name} {size}" for name, size in spread if size > 1),
        )

    pictured = shape_of(recipe.model.config(), filled_with(1)).sequence - 1
    room = stage.length - pictured
    wanted = room if text is None else text
    if wanted > room or room < 1:
        raise ValueError(
            f"a sample of stage {stage.name} has {stage.length} tokens, {pictured} of which its picture takes; "
            f"{max(wanted, 1)} tokens of text do not fit into {max(room, 0)}"
        )
    return filled_with(wanted)
