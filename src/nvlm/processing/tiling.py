"""Dynamic high resolution: an image becomes a grid of tiles, and a thumbnail (NVLM paper, section 4.1).

Pixel for pixel what the published preprocessing gives: one bicubic Pillow resize of the whole image to the grid,
ignoring the aspect ratio; crops row by row; the thumbnail from the whole image, last, and only when there is more than
one tile.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nvlm.processing.images import ImageError, ImageSource, load_image


class Grid(NamedTuple):
    """A tiling: so many columns and rows of tiles."""

    cols: int
    rows: int

    @property
    def tiles(self) -> int:
        return self.cols * self.rows


@cache
def candidate_grids(max_tiles: int) -> tuple[Grid, ...]:
    """Every grid of at most `max_tiles` tiles, smallest area first (14 grids for 6 tiles, 35 for 12)."""
    if max_tiles < 1:
        raise ValueError(f"max_tiles is {max_tiles}, but an image has at least 1 tile")
    sides = range(1, max_tiles + 1)
    return tuple(sorted((Grid(i, j) for i in sides for j in sides if i * j <= max_tiles), key=lambda grid: grid.tiles))


def choose_grid(width: int, height: int, tile_size: int = 448, max_tiles: int = 6) -> Grid:
    """The grid whose aspect ratio is closest to the image's.

    Candidates are tried by growing area. On a tie the larger grid wins only if the image has more than half of its
    pixels.

    >>> choose_grid(1200, 800)
    Grid(cols=3, rows=2)
    >>> choose_grid(448, 448), choose_grid(1000, 1000)
    (Grid(cols=1, rows=1), Grid(cols=2, rows=2))
    """
    if width < 1 or height < 1:
        raise ImageError(f"an image of {width}x{height} pixels has nothing to show; both sides must be at least 1")
    best, smallest = Grid(1, 1), float("inf")
    for grid in candidate_grids(max_tiles):
        difference = abs(width / height - grid.cols / grid.rows)
        larger_fits = 2 * width * height > tile_size * tile_size * grid.tiles
        if difference < smallest or (difference == smallest and larger_fits):
            best, smallest = grid, difference
    return best


def cut(image: Image.Image, grid: Grid, tile_size: int = 448, thumbnail: bool = True) -> NDArray[np.uint8]:
    """The views of an RGB image for a grid: uint8 (views, tile_size, tile_size, 3), row by row, the thumbnail last."""
    cols, rows = grid
    resized = np.asarray(image.resize((cols * tile_size, rows * tile_size), Image.Resampling.BICUBIC))
    views = resized.reshape(rows, tile_size, cols, tile_size, 3).swapaxes(1, 2).reshape(-1, tile_size, tile_size, 3)
    if thumbnail and len(views) > 1:
        whole = np.asarray(image.resize((tile_size, tile_size), Image.Resampling.BICUBIC))
        views = np.concatenate([views, whole[None]])
    return views


def tiles(image: ImageSource, tile_size: int = 448, max_tiles: int = 6, thumbnail: bool = True) -> NDArray[np.uint8]:
    """The views that a model sees of one image: uint8 (views, tile_size, tile_size, 3).

    Tiles come row by row; the thumbnail comes last, and only when there is more than one tile. With `max_tiles=1` this
    is a plain resize. `image` may be anything that `load_image` takes; what it refuses is an `ImageError`.
    """
    picture = load_image(image)
    return cut(picture, choose_grid(*picture.size, tile_size, max_tiles), tile_size, thumbnail)
