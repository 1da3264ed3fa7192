"""A sample as the model sees it, token by token: for looking, not for computing."""

from collections.abc import Sequence
from dataclasses import dataclass

from nvlm.processing.chat import Message
from nvlm.processing.layout import Row
from nvlm.processing.processor import NVLMProcessor
from nvlm.processing.tags import View


@dataclass(frozen=True)
class Token:
    """One token and its role. View numbers count the sample's views: by image, tiles row-major, thumbnail last."""

    id: int
    text: str
    supervised: bool
    slot_view: int | None
    """The view that this slot is part of."""
    tag_view: int | None
    """The view that this token's tag names."""
    readable: tuple[int, ...]
    """The views in memory that this token reads."""


@dataclass(frozen=True)
class Inspection:
    """One sample: its tokens, the views of each image, and which of them stand where."""

    tokens: tuple[Token, ...]
    views: tuple[tuple[View, ...], ...]
    sequence_views: tuple[int, ...]
    memory_views: tuple[int, ...]
    memory_tags: tuple[str, ...]
    """The tag that stands in memory before each memory view; empty where there is none."""


def inspect(
    processor: NVLMProcessor, conversation: Sequence[Message], grids: Sequence[tuple[int, int]] = ()
) -> Inspection:
    """Lay out one conversation, supervised, and name the role of every token.

    `grids` are the (columns, rows) of its images; `processor.image_processor.grid` says which a picture gets.
    """
    row = processor.layout(conversation, grids)
    return Inspection(
        tokens=tuple(_tokens(processor, row)),
        views=row.views,
        sequence_views=tuple(row.sequence_views),
        memory_views=tuple(row.memory_views),
        memory_tags=tuple(row.memory_tags),
    )


def _tokens(processor: NVLMProcessor, row: Row) -> list[Token]:
    def number(view: int) -> int | None:
        return None if view < 0 else view

    columns = (row.input_ids, row.supervised, row.slot_view, row.tag_view)
    readable = ([row.memory_views[place] for place in reads.nonzero()[0]] for reads in row.readable())
    return [
        Token(
            id=token,
            text=processor.tokenizer.decode([token]),
            supervised=supervised,
            slot_view=number(slot),
            tag_view=number(tag),
            readable=tuple(reads),
        )
        for token, supervised, slot, tag, reads in zip(*(column.tolist() for column in columns), readable, strict=True)
    ]
