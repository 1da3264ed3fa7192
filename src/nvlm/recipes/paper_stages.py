"""The stages of both sizes: tables 10 and 11 of the paper, number by number.

Two things beside the numbers. The tables name no connector among what X trains; its projector is new and has to learn,
as section 4.5 says, so it does here. And a picture of one tile is the plain 448-pixel resize without tags.
"""

from dataclasses import replace

from nvlm.processing.tags import Tags
from nvlm.recipes.recipe import ImageStage

CONNECTOR, CROSS_ATTENTION, LANGUAGE = "connector.*", "language_model.*.cross_attention.*", "language_model.*"

PRETRAIN_D = ImageStage(
    name="pretrain",
    trainable=(CONNECTOR,),
    batch=2048,
    peak_lr=1e-4,
    final_lr=2.5e-5,
    warmup=500,
    betas=(0.9, 0.95),
    weight_decay=0.1,
    clip=10.0,
    length=512,
    max_tiles=1,
    tags=Tags("none"),
    tensor_parallel=8,
    pipeline_parallel=1,
    steps=20_000,
)
PRETRAIN_X = replace(
    PRETRAIN_D,
    trainable=(CONNECTOR, CROSS_ATTENTION),
    final_lr=1e-5,
    warmup=1000,
    weight_decay=0.05,
    clip=1.0,
)
PRETRAIN_H = replace(PRETRAIN_X, betas=(0.9, 0.98), max_tiles=6, tags=Tags())
PRETRAIN = {"D": PRETRAIN_D, "X": PRETRAIN_X, "H": PRETRAIN_H}
"""Table 10: the same at 34B and 72B."""

SFT_D = ImageStage(
    name="sft",
    trainable=(CONNECTOR, LANGUAGE),
    batch=128,
    peak_lr=2e-6,
    final_lr=2.5e-7,
    warmup=1000,
    betas=(0.9, 0.98),
    weight_decay=0.1,
    clip=10.0,
    length=3200,
    max_tiles=6,
    tensor_parallel=8,
    pipeline_parallel=4,
    steps=40_000,
)
SFT_X = replace(
    SFT_D,
    batch=256,
    peak_lr=1e-5,
    final_lr=1e-7,
    warmup=500,
    weight_decay=0.05,
    clip=1.0,
    length=1024,
    pipeline_parallel=1,
    steps=20_000,
)
SFT_H = replace(SFT_X, warmup=1000, length=1280, steps=40_000)
SFT = {"D": SFT_D, "X": SFT_X, "H": SFT_H}
"""Table 11 at 72B; at 34B, X has another batch and final rate."""


def named(stage: ImageStage, thumbnail: str) -> ImageStage:
    """A stage with the thumbnail's tag as the language model's tokenizer wants it."""
    return replace(stage, tags=replace(stage.tags, thumbnail=thumbnail))
