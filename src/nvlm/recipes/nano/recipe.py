"""The nano family as a recipe like the others, for ``nvlm plan``; ``family.py`` trains it."""

from dataclasses import fields
from typing import Any

from nvlm.data.synthetic.tokenizer import SLOT, build_tokenizer
from nvlm.modeling.architectures import find_architecture
from nvlm.modeling.views import Views
from nvlm.recipes.nano import stages
from nvlm.recipes.nano.batches import ROOM
from nvlm.recipes.nano.sizes import CROSS_ATTENTION, DOWNSAMPLE, LANGUAGE, MAX_TILES, TOKENS_PER_VIEW, VISION
from nvlm.recipes.recipe import Backbone, ImageStage, Model, Recipe
from nvlm.training.stages import Stage

TEXT = 220
"""Tokens of the longest questions with their answers and template, beside the picture."""

ANSWERED = 0.25
"""Share of the text that is answers."""

UNPLANNED = (
    f"Not in this plan: nano's backbones, alignment ({stages.ALIGN.steps:,} steps of {stages.ALIGN.batch} pictures) "
    f"and the later parts of SFT ({stages.EXPLAIN.steps:,} and {stages.CONCLUDE.steps:,} steps, each like one of sft)."
)


def nano(architecture: str) -> Recipe:
    """The paper's two stages on stored features, every sample with a long text and a picture of the largest size.

    What nano does besides is `UNPLANNED`.
    """
    tokenizer = build_tokenizer()
    return Recipe(
        name="nano",
        model=Model(
            architecture=architecture,
            vision=Backbone("", "internvl_vision", VISION),
            language=Backbone("", "qwen2", {"vocab_size": len(tokenizer), **LANGUAGE}),
            image_token_id=tokenizer.get_vocab()[SLOT],
            tag_tokens=1,
            downsample=DOWNSAMPLE,
            **CROSS_ATTENTION,
        ),
        pretrain=_stage(stages.PRETRAIN, architecture),
        sft=_stage(stages.SFT, architecture),
    )


def _stage(shared: Stage, architecture: str) -> ImageStage:
    """A stage of the family as one architecture goes through it."""
    places = find_architecture(architecture)
    stage = stages.for_architecture(shared, architecture, bool(places.in_memory))
    in_sequence = MAX_TILES * (Views.TILES in places.in_sequence) + (Views.THUMBNAIL in places.in_sequence)
    tags = MAX_TILES * (Views.TILES in places.tags_in_sequence) + (Views.THUMBNAIL in places.tags_in_sequence)
    length = TEXT + in_sequence * TOKENS_PER_VIEW + tags
    values: dict[str, Any] = {field.name: getattr(stage, field.name) for field in fields(stage)}
    return ImageStage(
        **values | {"name": shared.name},
        length=length,
        max_tiles=MAX_TILES,
        supervised=ANSWERED,
        rows=min(stage.batch, ROOM.tokens // length),
        stored_features=True,
    )
