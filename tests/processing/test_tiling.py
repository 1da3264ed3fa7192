import random

import numpy as np
import pytest
from PIL import Image

from nvlm.processing import ImageError, choose_grid, tiles
from nvlm.processing.tiling import Grid, candidate_grids, cut

EXTREME = [(1, 1), (1, 9000), (9000, 1), (3, 10_000), (10_000, 3), (448, 448), (447, 448), (20_000, 20_000)]
TIES = [
    (5, 4),
    (4, 5),
    (5 * 70, 4 * 70),
    (5 * 200, 4 * 200),
    (500, 400),
    (560, 448),
    (700, 560),
    (2500, 1000),
    (3500, 1000),
]


def sizes() -> list[tuple[int, int]]:
    rng = random.Random(0)
    anything = [(rng.randint(1, 3000), rng.randint(1, 3000)) for _ in range(300)]
    exact = [
        (rng.randint(1, 6) * side, rng.randint(1, 6) * side)
        for side in (100, 224, 316, 317, 448, 600)
        for _ in range(20)
    ]
    return EXTREME + TIES + anything + exact


def reference_grid(width: int, height: int, tile: int, max_tiles: int) -> tuple[int, int]:
    """The rule as a search over all candidates, instead of a scan with a best so far; floats are compared."""
    grids = [(i, j) for i in range(1, max_tiles + 1) for j in range(1, max_tiles + 1) if i * j <= max_tiles]
    distance = {grid: abs(width / height - grid[0] / grid[1]) for grid in grids}
    nearest = min(distance.values())
    tied = sorted((grid for grid in grids if distance[grid] == nearest), key=lambda grid: grid[0] * grid[1])
    assert len({cols * rows for cols, rows in tied}) == len(tied), (
        "the published code leaves the order of equal areas open"
    )
    fitting = [grid for grid in tied[1:] if width * height > tile * tile * grid[0] * grid[1] / 2]
    return fitting[-1] if fitting else tied[0]


def reference_views(image: Image.Image, grid: tuple[int, int], tile: int) -> list[np.ndarray]:
    """Resize once, crop row by row with Pillow, thumbnail last."""
    cols, rows = grid
    large = image.resize((cols * tile, rows * tile), Image.Resampling.BICUBIC)
    boxes = [(x * tile, y * tile, (x + 1) * tile, (y + 1) * tile) for y in range(rows) for x in range(cols)]
    views = [np.asarray(large.crop(box)) for box in boxes]
    return views + [np.asarray(image.resize((tile, tile), Image.Resampling.BICUBIC))] * (len(views) > 1)


def test_there_are_the_papers_fourteen_grids() -> None:
    ratios = "1:1 1:2 1:3 1:4 1:5 1:6 2:1 2:2 2:3 3:1 3:2 4:1 5:1 6:1"
    assert sorted(f"{cols}:{rows}" for cols, rows in candidate_grids(6)) == ratios.split()
    assert len(candidate_grids(12)) == 35


@pytest.mark.parametrize("max_tiles", [1, 2, 4, 6, 12])
@pytest.mark.parametrize("tile", [448, 32])
def test_grids_are_those_of_a_brute_force_search(max_tiles: int, tile: int) -> None:
    for width, height in sizes():
        assert choose_grid(width, height, tile, max_tiles) == reference_grid(width, height, tile, max_tiles), (
            width,
            height,
        )


@pytest.mark.parametrize(
    ("size", "grid"),
    [
        ((448, 448), (1, 1)),  # 2x2 has the same ratio, but the image has a quarter of its pixels
        ((633, 633), (1, 1)),  # 400,689 pixels, under half of 2x2's 802,816
        ((634, 634), (2, 2)),  # 401,956 pixels, over half
        ((10_000, 10), (6, 1)),
        ((10, 10_000), (1, 6)),
        ((1280, 960), (3, 2)),
        ((1250, 1000), (3, 2)),  # as near to 1:1 as to 3:2, also in floats, and over half of 3x2's pixels
        ((1120, 1344), (2, 2)),  # as near to 1:1 as to 2:3, but not in floats, which the published code compares
    ],
)
def test_grids_of_some_sizes(size: tuple[int, int], grid: tuple[int, int]) -> None:
    assert choose_grid(*size) == grid


@pytest.mark.parametrize("size", [(100, 80), (33, 200), (200, 33), (96, 64), (1, 50), (64, 64), (20, 20), (61, 47)])
@pytest.mark.parametrize("max_tiles", [1, 6, 12])
def test_views_are_the_published_pixels(size: tuple[int, int], max_tiles: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    image = Image.fromarray(noise)
    views = tiles(image, tile_size=32, max_tiles=max_tiles)
    expected = reference_views(image, reference_grid(*size, 32, max_tiles), 32)
    assert views.dtype == np.uint8
    assert views.shape == (len(expected), 32, 32, 3)
    np.testing.assert_array_equal(views, np.stack(expected))


def test_tiles_come_row_by_row_and_the_thumbnail_last() -> None:
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[9, 9, 9], [99, 99, 99], [199, 199, 199]]], np.uint8)
    image = Image.fromarray(colours.repeat(32, 0).repeat(32, 1))
    views = tiles(image, tile_size=32)
    assert [tuple(view[16, 16].tolist()) for view in views[:-1]] == [tuple(c) for c in colours.reshape(-1, 3).tolist()]
    assert len({tuple(pixel) for pixel in views[-1].reshape(-1, 3).tolist()}) > 6
    assert len(tiles(image, tile_size=32, thumbnail=False)) == 6


def test_one_tile_is_a_plain_resize_without_a_thumbnail() -> None:
    image = Image.effect_mandelbrot((90, 40), (-2, -1, 1, 1), 50).convert("RGB")
    np.testing.assert_array_equal(
        tiles(image, 32, max_tiles=1)[0], np.asarray(image.resize((32, 32), Image.Resampling.BICUBIC))
    )
    assert len(cut(image, Grid(1, 1), 32)) == 1


def test_a_grid_of_no_tiles_is_refused() -> None:
    with pytest.raises(ValueError, match="max_tiles is 0, but an image has at least 1 tile"):
        tiles(Image.new("RGB", (4, 4)), max_tiles=0)
    with pytest.raises(ImageError, match="an image of 0x5 pixels has nothing to show"):
        choose_grid(0, 5)
