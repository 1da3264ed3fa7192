"""What the released Megatron scripts change in the paper's recipes of D, at both sizes."""

from dataclasses import replace

from nvlm.recipes.recipe import ImageStage, Recipe

WARMUP, HORIZON = 83_200, 25_600_000
"""Samples; the paper counts steps."""

INITIALIZER_RANGE = 0.014


def as_released(recipe: Recipe, *, sft_batch: int | None = None) -> Recipe:
    """The recipe as the released scripts have it, under a name of its own.

    Args:
        sft_batch: of SFT, where it differs from the paper's.

    Raises:
        ValueError: X or H, which nobody released.
    """
    architecture = recipe.model.architecture
    if architecture != "D":
        raise ValueError(
            f"scripts were released for NVLM-D only, not for NVLM-{architecture}: take {recipe.name}, or architecture D"
        )
    language = recipe.model.language
    values = {**language.values, "initializer_range": INITIALIZER_RANGE}
    return replace(
        recipe,
        name=f"{recipe.name}_released",
        model=replace(recipe.model, language=replace(language, values=values)),
        pretrain=released(recipe.pretrain),
        sft=released(replace(recipe.sft, batch=sft_batch or recipe.sft.batch)),
    )


def released(stage: ImageStage) -> ImageStage:
    """A stage with warm-up and cosine as the released scripts have them, in samples."""
    return replace(
        stage,
        warmup=round(WARMUP / stage.batch),
        horizon=HORIZON // stage.batch,
        betas=(0.9, 0.95),
    )
