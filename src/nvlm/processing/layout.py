"""One sample as the model reads it: its tokens, where every view goes, and which view each token may read.

Legend: S tokens of the row, M views in memory, V views of the row.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nvlm.modeling.architectures import Architecture
from nvlm.processing.chat import IMAGE_MARK, SPLIT_MARK, Prompt
from nvlm.processing.tags import Segment, View, image_segments

Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]
Encode: TypeAlias = Callable[[Sequence[str]], tuple[list[list[int]], list[list[tuple[int, int]]]]]
"""Texts → their token ids, and each token's first and last character."""


@dataclass(frozen=True)
class Row:
    """One sample before it is padded. Views are numbered over the row: by image, tiles row-major, thumbnail last."""

    input_ids: Ints
    """(S,)"""
    supervised: Bools
    """(S,)"""
    slot_view: Ints
    """(S,): the view that a slot is part of; -1 where there is no slot."""
    tag_view: Ints
    """(S,): the view that a tag's token names; -1 elsewhere."""
    seen: Ints
    """(S,): how many memory views belong to images that ended at or before the token."""
    views: tuple[tuple[View, ...], ...]
    """The views of each image."""
    architecture: Architecture

    def __len__(self) -> int:
        return len(self.input_ids)

    @cached_property
    def all_views(self) -> tuple[View, ...]:
        return tuple(chain.from_iterable(self.views))

    @cached_property
    def sequence_views(self) -> list[int]:
        """The views in the sequence, in the order of their slots."""
        return [number for number, view in enumerate(self.all_views) if view.kind in self.architecture.in_sequence]

    @cached_property
    def memory_views(self) -> list[int]:
        """The views in memory."""
        return [number for number, view in enumerate(self.all_views) if view.kind in self.architecture.in_memory]

    @cached_property
    def memory_tags(self) -> list[str]:
        """The tag that stands in memory before each memory view; empty where it has none, or stands in the sequence."""
        views = [self.all_views[number] for number in self.memory_views]
        return [view.tag if view.kind in self.architecture.tags_in_memory else "" for view in views]

    def readable(self) -> Bools:
        """(S, M): may the token read the memory view?"""
        place = np.full(len(self.all_views) + 1, -1)  # view → its place in memory; the last entry serves view -1
        place[self.memory_views] = np.arange(len(self.memory_views))
        return readable_views(place[self.tag_view], self.seen, len(self.memory_views))

    def part(self, first: int, last: int) -> "Row":
        """Tokens `first` to `last` - 1 as a row of its own, which knows nothing of the others.

        Raises:
            ValueError: the row has images; what follows an image would no longer see it.
        """
        if self.views:
            raise ValueError(f"only a row of text can be split, but this one has {len(self.views)} images")
        names = ("input_ids", "supervised", "slot_view", "tag_view", "seen")
        return replace(self, **{name: getattr(self, name)[first:last] for name in names})


def readable_views(own: Ints, seen: Ints, count: int) -> Bools:
    """Which tokens read which memory views: (S,), (S,) → (S, count).

    A token of a tag whose view is in memory – at place `own`, else -1 – reads that view only (paper, section 4.3). Any
    other token reads the views of the images that ended at or before it: the first `seen` ones.

    >>> readable_views(np.array([-1, 0, 1, -1]), np.array([0, 0, 0, 2]), 2).astype(int).tolist()
    [[0, 0], [1, 0], [0, 1], [1, 1]]
    """
    memory = np.arange(count)
    own, seen = own[:, None], seen[:, None]
    result: Bools = np.where(own >= 0, own == memory, memory < seen)
    return result


def segments_of(
    prompt: Prompt, views: Sequence[tuple[View, ...]], architecture: Architecture, slot: str, alone: bool
) -> list[Segment]:
    """A prompt as segments, each image mark replaced by its image's block.

    Raises:
        ValueError: the prompt is empty, or has another number of image places than there are images.
    """
    if prompt.images != len(views):
        raise ValueError(
            f"the prompt has {prompt.images} places for images, but {len(views)} images were given; "
            "every image needs its own <image> or image part"
        )
    if not prompt.text:
        raise ValueError("the prompt is empty; the model needs at least one token to read")
    segments: list[Segment] = []
    image, first_view, seen, fresh = 0, 0, 0, False
    for text, supervised in prompt.chunks():
        if text == SPLIT_MARK:
            fresh = True
        elif text == IMAGE_MARK:
            block = image_segments(views[image], architecture, slot=slot, alone=alone, first_view=first_view, seen=seen)
            segments += block
            first_view, seen, image = first_view + len(views[image]), block[-1].seen, image + 1
        else:
            segments.append(Segment(text, fresh=fresh, seen=seen, supervised=supervised))
            fresh = False
    return segments


def tokenise(segments: Sequence[Segment], encode: Encode, slots: int, known: dict[str, list[int]]) -> tuple[Ints, Ints]:
    """Token ids of a row, and for each token the number of its segment.

    Segments are tokenised together up to the next fresh one. A token that crosses an edge between segments – `><`
    between two tags – counts to the segment that holds its first character. A slot's one token is repeated `slots`
    times. `known` remembers the ids of tags and slots that are tokenised alone.
    """
    runs = _runs(segments)
    lone = [run[1] - run[0] == 1 and segments[run[0]].view >= 0 for run in runs]
    texts = ["".join(segment.text for segment in segments[first:last]) for first, last in runs]
    needed = [text for text, single in zip(texts, lone, strict=True) if not single or text not in known]
    encoded = dict(zip(needed, zip(*encode(needed), strict=True), strict=True)) if needed else {}
    ids: list[int] = []
    owners: list[Ints] = []
    for (first, last), text, single in zip(runs, texts, lone, strict=True):
        if single:
            tokens = known[text] if text in known else known.setdefault(text, encoded[text][0])
            owners.append(np.full(len(tokens), first))
        else:
            tokens, offsets = encoded[text]
            edges = np.cumsum([len(segment.text) for segment in segments[first : last - 1]], dtype=np.int64)
            starts = np.fromiter((start for start, _ in offsets), np.int64, len(offsets))
            owners.append(first + np.searchsorted(edges, starts, side="right"))
        ids += tokens
    owner = np.concatenate(owners)
    repeats = np.fromiter((slots if segment.slot else 1 for segment in segments), np.int64, len(segments))[owner]
    return np.repeat(np.asarray(ids, np.int64), repeats), np.repeat(owner, repeats)


def _runs(segments: Sequence[Segment]) -> list[tuple[int, int]]:
    """First and last + 1 of the segments that are tokenised together."""
    starts = [number for number, segment in enumerate(segments) if segment.fresh and number]
    return list(zip([0, *starts], [*starts, len(segments)], strict=True))


def lay_out(
    segments: Sequence[Segment],
    views: Sequence[tuple[View, ...]],
    architecture: Architecture,
    encode: Encode,
    slots: int,
    known: dict[str, list[int]],
) -> Row:
    """Tokenise the segments of a row and note every token's role."""
    ids, owner = tokenise(segments, encode, slots, known)
    view = np.array([segment.view for segment in segments])
    slot = np.array([segment.slot for segment in segments])
    return Row(
        input_ids=ids,
        supervised=np.array([segment.supervised for segment in segments])[owner],
        slot_view=np.where(slot, view, -1)[owner],
        tag_view=np.where(slot, -1, view)[owner],
        seen=np.array([segment.seen for segment in segments])[owner],
        views=tuple(views),
        architecture=architecture,
    )
