"""What a picture costs in tokens, exactly as the processor lays it out."""

from typing import Any

from nvlm.modeling.placement import keys_per_row
from nvlm.processing import NVLMProcessor
from nvlm.recipes.compare.report import Length
from nvlm.recipes.nano.language import build_processor
from nvlm.recipes.nano.sizes import MAX_TILES
from nvlm.recipes.nano.variant import Variant

GRIDS = {1: (1, 1), 2: (2, 1), 4: (2, 2), 6: (3, 2)}
"""A grid for each count of tiles."""

QUESTION = [{"type": "image"}, {"type": "text", "text": "What is the total?"}]


def lengths_of(variant: Variant) -> tuple[Length, ...]:
    """The prompt of one picture and one question for every grid, as one variant sees it."""
    processor = build_processor(variant.architecture, variant.tags, 1 if variant.thumbnail_only else MAX_TILES)
    return tuple(_length(processor, tiles, grid) for tiles, grid in GRIDS.items())


def _length(processor: NVLMProcessor, tiles: int, grid: tuple[int, int]) -> Length:
    seen = grid if processor.image_processor.max_tiles >= tiles else GRIDS[1]
    inputs: Any = processor.apply_chat_template(
        [[{"role": "user", "content": QUESTION}]],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        grids=[[seen]],
    )
    memory = inputs.get("memory_views")
    keys = 0 if memory is None else keys_per_row(memory, inputs.get("memory_tag_ids"), processor.tokens_per_view)
    slots = int((inputs["input_ids"] == processor.image_token_id).sum())
    return Length(tiles, in_sequence=slots, in_memory=keys, decoder=int(inputs["input_ids"].shape[1]))
