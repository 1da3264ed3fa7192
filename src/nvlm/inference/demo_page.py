"""The demo as one HTML page that needs nothing else: pictures inside, no script, light and dark, wide and narrow."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from nvlm.data.pages import open_template, png_uri
from nvlm.inference.demo import Contestant, Round, setting, standings
from nvlm.inference.demo_table import plain
from nvlm.processing import NVLMProcessor
from nvlm.processing.tiling import Grid

SMALL, TALLEST = 160, 440
"""Pixels: narrower pictures are shown at twice their size, higher ones made lower."""


@dataclass(frozen=True)
class Picture:
    """A picture for the page: itself, and the views that the models see of it, as data URIs."""

    source: str
    width: int
    """On the page; a phone's screen may make it smaller."""
    height: int
    grid: Grid
    tiles: tuple[str, ...]
    thumbnail: str | None


def render_page(contestants: Sequence[Contestant], rounds: Sequence[Round]) -> str:
    """The page with all questions, pictures and answers."""
    processor = contestants[0].processor
    return open_template(__package__, "demo.html.j2", plain).render(
        names=[contestant.name for contestant in contestants],
        rounds=rounds,
        pictures=[None if each.exhibit.image is None else picture(each.exhibit.image, processor) for each in rounds],
        standings=standings(contestants, rounds),
        setting=setting(contestants),
        tokens_per_view=processor.tokens_per_view,
        tile_size=processor.image_processor.tile_size,
    )


def picture(image: Image.Image, processor: NVLMProcessor) -> Picture:
    """A picture and its views as data URIs."""
    images = processor.image_processor
    loaded = images.load(image)
    grid = images.grid(loaded)
    scale = min(2.0 if loaded.width < SMALL else 1.0, TALLEST / loaded.height)
    views = [png_uri(Image.fromarray(view)) for view in images.views(loaded, grid)]
    return Picture(
        source=png_uri(loaded),
        width=round(loaded.width * scale),
        height=round(loaded.height * scale),
        grid=grid,
        tiles=tuple(views[: grid.tiles]),
        thumbnail=views[grid.tiles] if len(views) > grid.tiles else None,
    )
