"""The tile budget: how far the tiles of a prompt with several images are lowered so that it fits."""

import logging
from collections.abc import Callable
from functools import cache

LADDER = (12, 8, 6, 4, 2, 1)
_LOG = logging.getLogger("nvlm")


def tile_budget(max_tiles: int, fits: Callable[[int], bool]) -> int | None:
    """The largest tile limit at or below `max_tiles` with which the prompt fits; None where even one tile per image is
    too much.

    After `max_tiles` itself, the steps are those of the released training code: 12, 8, 6, 4, 2, 1. All images of the
    prompt are tiled anew with the same limit.

    >>> tile_budget(6, lambda tiles: 3 * (tiles + 1) * 256 < 4000)
    4
    """
    steps = (max_tiles, *(step for step in LADDER if step < max_tiles))
    return next((step for step in steps if fits(step)), None)


@cache
def note_lowered(images: int, wanted: int, given: int, max_length: int) -> None:
    """Say, once for each case, that images lose resolution; Python shows warnings of this logger unless told not to."""
    _LOG.warning(
        "%d images do not fit into %s tokens with %d tiles each: lowered to %d (give fewer images, or max_tiles=%d)",
        images, f"{max_length:,}", wanted, given, given,
    )  # fmt: skip
