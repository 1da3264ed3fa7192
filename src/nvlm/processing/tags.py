"""Images as text: which views an image has, the tag that names each, and where tags and slots stand (paper, sections
4.1–4.4).

A slot is the place of one projected image token in the sequence; a view takes `tokens_per_view` of them. Tags are plain
text, not vocabulary of their own.
"""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from nvlm.modeling.architectures import Architecture
from nvlm.modeling.views import Views
from nvlm.processing.tiling import Grid

SLOT = "<|slot|>"
OPEN, CLOSE = "<Image>", "</Image>"
TAG_FORMATS = ("none", "1d", "2d-grid", "2d-box")
BOX_SCALE = 1000


@dataclass(frozen=True)
class Tags:
    """How views are named (paper, section 4.2, table 1).

    * ``none``: no tags, the thumbnail's included.
    * ``1d``: `<tile_1>`, `<tile_2>` … in reading order; what NVLM uses.
    * ``2d-grid``: `<tile_x0_y0>`, `<tile_x1_y0>` … (column, row).
    * ``2d-box``: `<box> (x0, y0), (x1, y1) </box>`, the tile's corners in thousandths of the image's sides.

    The thumbnail has the tag `thumbnail` in every format but ``none``. The paper writes `<tile_global>`; the released
    72B model was trained with `<tile_global_thumbnail>`.
    """

    format: str = "1d"
    thumbnail: str = "<tile_global_thumbnail>"

    def __post_init__(self) -> None:
        if self.format not in TAG_FORMATS:
            raise ValueError(f"unknown tag format {self.format!r}; there are {', '.join(TAG_FORMATS)}")

    def tile(self, grid: Grid, number: int) -> str:
        """The tag of tile `number`, counted from 0 in reading order."""
        row, col = divmod(number, grid.cols)
        match self.format:
            case "1d":
                return f"<tile_{number + 1}>"
            case "2d-grid":
                return f"<tile_x{col}_y{row}>"
            case "2d-box":
                left, right = (round(BOX_SCALE * x / grid.cols) for x in (col, col + 1))
                top, bottom = (round(BOX_SCALE * y / grid.rows) for y in (row, row + 1))
                return f"<box> ({left}, {top}), ({right}, {bottom}) </box>"
            case _:
                return ""


DEFAULT_TAGS = Tags()


class View(NamedTuple):
    """One view of an image: its kind and the tag that names it."""

    kind: Views
    tag: str


@cache
def views_of(grid: Grid, tags: Tags = DEFAULT_TAGS, thumbnail: bool = True) -> tuple[View, ...]:
    """The views of one image: its tiles in reading order, then the thumbnail.

    An image of one tile has exactly one view, and it counts as the thumbnail: in H it stands in the sequence, and its
    memory is empty. (The released code names it with the thumbnail's tag as well.)

    Raises:
        ValueError: the grid has no tiles.
    """
    if grid.cols < 1 or grid.rows < 1:
        raise ValueError(f"a grid of {grid.cols} columns and {grid.rows} rows holds no tile; both must be at least 1")
    whole = View(Views.THUMBNAIL, "" if tags.format == "none" else tags.thumbnail)
    if grid.tiles == 1:
        return (whole,)
    tiles = tuple(View(Views.TILES, tags.tile(grid, number)) for number in range(grid.tiles))
    return (*tiles, whole) if thumbnail else tiles


class Segment(NamedTuple):
    """A stretch of a row's text whose tokens share one role."""

    text: str
    view: int = -1
    """The view, counted over the row, that this tag or slot belongs to."""
    slot: bool = False
    """One slot, that stands for all the slots of its view."""
    fresh: bool = False
    """Tokenised apart from what comes before it."""
    seen: int = 0
    """How many memory views of the row belong to images that ended at or before this text."""
    supervised: bool = False


def image_segments(
    views: tuple[View, ...],
    architecture: Architecture,
    *,
    slot: str = SLOT,
    alone: bool = False,
    first_view: int = 0,
    seen: int = 0,
) -> list[Segment]:
    """One image's block: `<Image>`, its tags and slots in order, `</Image>`.

    `first_view` and `seen` count the views, and the memory views, of the images before it in the row. With `alone`,
    each tag is tokenised on its own, as Megatron trained NVLM-D; otherwise with its neighbours, as the released model's
    prompt string is.
    """
    block = [Segment(OPEN, seen=seen)]
    for index, (kind, tag) in enumerate(views, first_view):
        if tag and kind in architecture.tags_in_sequence:
            block.append(Segment(tag, view=index, fresh=alone, seen=seen))
        if kind in architecture.in_sequence:
            block.append(Segment(slot, view=index, slot=True, fresh=alone, seen=seen))
    read = seen + sum(kind in architecture.in_memory for kind, _ in views)
    block.append(Segment(CLOSE, fresh=alone, seen=read))
    return block


def render_image(
    grid: Grid,
    slots: int,
    architecture: Architecture,
    tags: Tags = DEFAULT_TAGS,
    thumbnail: bool = True,
    slot: str = SLOT,
) -> str:
    """Write one image as text: tags where the architecture wants them, slots for the views in the sequence.

    >>> from nvlm.modeling.architectures import ARCHITECTURES
    >>> render_image(Grid(2, 1), slots=1, architecture=ARCHITECTURES["D"])
    '<Image><tile_1><|slot|><tile_2><|slot|><tile_global_thumbnail><|slot|></Image>'
    >>> render_image(Grid(2, 1), slots=1, architecture=ARCHITECTURES["X"])
    '<Image><tile_1><tile_2><tile_global_thumbnail></Image>'
    >>> render_image(Grid(2, 1), slots=1, architecture=ARCHITECTURES["H"])
    '<Image><tile_global_thumbnail><|slot|></Image>'
    """
    segments = image_segments(views_of(grid, tags, thumbnail), architecture, slot=slot)
    return "".join(segment.text * slots if segment.slot else segment.text for segment in segments)
