"""A picture that remembers what was drawn where.

Tasks draw in *units*: one unit is one pixel of the tiled canvas that the model sees, so sizes mean the same whatever
the resolution of the picture. Everything written or drawn leaves a mark; marks are the dense labels of the vision
encoder.
"""

import math
import random
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import as_file, files

from PIL import Image, ImageDraw, ImageFont

from nvlm.data.synthetic.splits import Split, draw
from nvlm.data.synthetic.words import kinds

TILE = 64
"""Units per tile side: the nano family's tile size in pixels."""

GRIDS = ((1, 1), (2, 1), (1, 2), (3, 1), (1, 3), (2, 2), (4, 1), (1, 4), (5, 1), (1, 5), (6, 1), (1, 6), (3, 2), (2, 3))
FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono", "DejaVuSerif")
COLOURS = {
    "red": (214, 39, 40), "green": (44, 160, 44), "blue": (31, 90, 210), "yellow": (245, 205, 20),
    "orange": (255, 127, 14), "purple": (140, 70, 190), "black": (20, 20, 20), "brown": (125, 75, 35),
    "pink": (245, 130, 190), "gray": (140, 140, 140),
}  # fmt: skip

Box = tuple[float, float, float, float]
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Mark:
    """Something drawn: a character of a word, or a shape.

    Attributes:
        box: left, top, right, bottom as shares of the picture's width and height.
        word: the whole word it belongs to, or the shape's name.
        character: the character, ``None`` for shapes.
        place: the character's place in its word, from 0.
        colour: the colour's name, ``None`` for characters.
    """

    box: Box
    word: str
    character: str | None = None
    place: int = 0
    colour: str | None = None


@dataclass(frozen=True)
class Drawing:
    """A picture and its marks."""

    image: Image.Image
    marks: list[Mark]


@dataclass(frozen=True)
class Layout:
    """What a task may vary without changing the answer. Whole layouts are held out per split."""

    columns: int
    rows: int
    font: str
    size: int
    style: str

    @property
    def width(self) -> int:
        """Width in units."""
        return self.columns * TILE

    @property
    def height(self) -> int:
        """Height in units."""
        return self.rows * TILE


def draw_layout(
    rng: random.Random,
    split: Split,
    task: str,
    grids: tuple[tuple[int, int], ...] = GRIDS,
    sizes: tuple[int, int] = (12, 17),
    styles: tuple[str, ...] = ("plain",),
) -> Layout:
    """A layout that belongs to ``split``: tile grid, font, font size (units per em, inclusive bounds) and style."""

    def choose() -> Layout:
        return Layout(*rng.choice(grids), rng.choice(FONTS), rng.randint(*sizes), rng.choice(styles))

    return draw(choose, lambda layout: f"{task} {layout}", split)


@cache
def load_font(name: str, pixels: int) -> ImageFont.FreeTypeFont:
    """A shipped font at a size in pixels per em."""
    with as_file(files(__package__).joinpath(f"fonts/{name}.ttf")) as path:
        return ImageFont.truetype(str(path), pixels)


@dataclass
class Canvas:
    """Draws in units and collects marks; ``finish`` gives the drawing."""

    layout: Layout
    scale: float
    background: Colour
    ink: Colour
    marks: list[Mark] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._size = (round(self.layout.width * self.scale), round(self.layout.height * self.scale))
        self.image = Image.new("RGB", self._size, self.background)
        self._draw = ImageDraw.Draw(self.image)

    @classmethod
    def random(cls, rng: random.Random, layout: Layout) -> "Canvas":
        """A canvas of random resolution, light background and dark ink.

        A one-tile layout stays at one pixel a unit, so that the tiling sees a small picture and keeps it at one tile.
        """
        scale = 1.0 if (layout.columns, layout.rows) == (1, 1) else rng.choice((1.0, 1.0, 1.5, 2.0, 3.0))
        light = rng.choice(((255, 255, 255), tuple(rng.randint(225, 255) for _ in range(3))))
        dark = rng.choice(((0, 0, 0), tuple(rng.randint(0, 90) for _ in range(3))))
        return cls(layout, scale, light, dark)  # type: ignore[arg-type]

    def text_width(self, text: str, size: float | None = None) -> float:
        """Width of ``text`` in units."""
        return self._font(size).getlength(text) / self.scale

    def text(self, x: float, y: float, text: str, size: float | None = None, ink: Colour | None = None) -> float:
        """Write ``text`` with its left edge at ``x`` and the top of its line at ``y``; the right edge in units."""
        font = self._font(size)
        self._draw.text((x * self.scale, y * self.scale), text, fill=ink or self.ink, font=font)
        edges = [x + font.getlength(text[:end]) / self.scale for end in range(len(text) + 1)]
        top, bottom = y + 0.2 * (size or self.layout.size), y + 1.05 * (size or self.layout.size)
        start = 0
        for word in text.split(" "):
            for place, character in enumerate(word, start):
                box = (edges[place], top, edges[place + 1], bottom)
                self._mark(box, Mark((0, 0, 0, 0), word, character, place - start))
            start += len(word) + 1
        return edges[-1]

    def line(self, x0: float, y0: float, x1: float, y1: float, width: float = 1) -> None:
        """A straight line in ink."""
        points = [value * self.scale for value in (x0, y0, x1, y1)]
        self._draw.line(points, fill=self.ink, width=max(1, round(width * self.scale)))

    def box(self, box: Box, fill: Colour | None = None, outline: Colour | None = None) -> None:
        """An upright rectangle."""
        self._draw.rectangle([value * self.scale for value in box], fill=fill, outline=outline)

    def shape(self, kind: str, colour: str, x: float, y: float, radius: float) -> None:
        """One of the named shapes, filled, centred on (x, y)."""
        centre_x, centre_y, size = x * self.scale, y * self.scale, radius * self.scale
        circle = (centre_x - size, centre_y - size, centre_x + size, centre_y + size)
        fill = COLOURS[colour]
        if kind == "circle":
            self._draw.ellipse(circle, fill=fill)
        elif kind == "ring":
            self._draw.ellipse(circle, outline=fill, width=max(2, round(size * 0.4)))
        else:
            self._draw.polygon([(centre_x + px * size, centre_y + py * size) for px, py in OUTLINES[kind]], fill=fill)
        self._mark((x - radius, y - radius, x + radius, y + radius), Mark((0, 0, 0, 0), kind, colour=colour))

    def finish(self) -> Drawing:
        """The picture and everything that is in it."""
        return Drawing(self.image, self.marks)

    def _font(self, size: float | None) -> ImageFont.FreeTypeFont:
        return load_font(self.layout.font, round((size or self.layout.size) * self.scale))

    def _mark(self, box: Box, mark: Mark) -> None:
        width, height = self.layout.width, self.layout.height
        share = (box[0] / width, box[1] / height, box[2] / width, box[3] / height)
        self.marks.append(Mark(share, mark.word, mark.character, mark.place, mark.colour))


def _polygon(corners: int, radii: tuple[float, ...] = (1.0,), turn: float = -90) -> list[tuple[float, float]]:
    angles = [math.radians(turn + 360 * corner / corners) for corner in range(corners)]
    return [
        (radii[corner % len(radii)] * math.cos(angle), radii[corner % len(radii)] * math.sin(angle))
        for corner, angle in enumerate(angles)
    ]


OUTLINES: dict[str, list[tuple[float, float]]] = {
    "square": [(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)],
    "triangle": _polygon(3),
    "star": _polygon(10, (1.0, 0.42)),
    "diamond": [(0, -1), (0.7, 0), (0, 1), (-0.7, 0)],
    "cross": [
        (-0.3, -1), (0.3, -1), (0.3, -0.3), (1, -0.3), (1, 0.3), (0.3, 0.3),
        (0.3, 1), (-0.3, 1), (-0.3, 0.3), (-1, 0.3), (-1, -0.3), (-0.3, -0.3),
    ],
    "heart": [
        (0, 1), (-0.95, 0), (-1, -0.45), (-0.75, -0.85), (-0.35, -0.85), (0, -0.45),
        (0.35, -0.85), (0.75, -0.85), (1, -0.45), (0.95, 0),
    ],
}  # fmt: skip
"""Corners of the polygonal shapes in units of their radius; ``circle`` and ``ring`` are ellipses."""

assert set(OUTLINES) | {"circle", "ring"} == set(kinds()["shapes"])
