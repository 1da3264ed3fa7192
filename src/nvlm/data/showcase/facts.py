"""Real public figures (`facts.json`, each with its source and licence), drawn as tables and charts in fixed layouts."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from nvlm.data.synthetic.canvas import Canvas, Drawing, Layout
from nvlm.data.synthetic.listing import LARGEST, SMALLEST, SUM, VALUE, Listing
from nvlm.data.synthetic.tables import draw_lying_bars, draw_standing_bars, draw_table
from nvlm.data.synthetic.words import labels

SCALE = 3
"""Pixels per unit: crisp on the page; the model sees one pixel per unit."""

PAPER, INK = (255, 255, 255), (20, 20, 40)
CHARTS: dict[str, Callable[[random.Random, Canvas, Listing], None]] = {
    "lying": draw_lying_bars,
    "dots": draw_lying_bars,
    "standing": draw_standing_bars,
}
"""Kinds of chart; any other kind of picture is a table in that style."""


@dataclass(frozen=True)
class Facts:
    """A few rows of real figures, the picture to draw of them, and one question about them.

    Attributes:
        title: what the figures are.
        picture: `lying`, `standing`, `dots` (charts), `plain`, `ruled`, `boxed` or `shaded` (tables).
        columns, rows, font, size: the layout, in tiles and units.
        header: of a table.
        values: label → figure, in the order they are drawn.
        ask: `value`, `largest`, `smallest` or `sum`.
        about: the labels that are asked about.
        source, licence: where the figures come from, and what may be done with them.
    """

    title: str
    picture: str
    columns: int
    rows: int
    font: str
    size: int
    header: tuple[str, str] | None
    values: dict[str, int]
    ask: str
    about: tuple[str, ...]
    source: str
    licence: str

    @property
    def question(self) -> str:
        """The question, in the words that training uses."""
        form = {"value": VALUE, "largest": LARGEST, "smallest": SMALLEST, "sum": SUM}[self.ask][0]
        return form.format(*self.about)

    @property
    def truth(self) -> str:
        """The answer, computed from the figures."""
        if self.ask in ("largest", "smallest"):
            return (max if self.ask == "largest" else min)(self.values, key=lambda label: self.values[label])
        return str(sum(self.values[label] for label in self.about))

    @property
    def unknown_labels(self) -> list[str]:
        """Labels outside the synthetic vocabulary: no training picture shows these words."""
        return [label for label in self.values if label not in labels()]

    @property
    def credit(self) -> str:
        """One line on where the figures come from."""
        return f"Figures: {self.source}. Licence: {self.licence}."

    def draw(self) -> Drawing:
        """The picture: the same one every time."""
        rng = random.Random(self.title)
        canvas = Canvas(Layout(self.columns, self.rows, self.font, self.size, self.picture), SCALE, PAPER, INK)
        listing = Listing(list(self.values.items()))
        if self.picture in CHARTS:
            CHARTS[self.picture](rng, canvas, listing)
        else:
            draw_table(rng, canvas, listing, self.header)
        return canvas.finish()


@cache
def read_facts() -> tuple[Facts, ...]:
    """The figures that come with the package."""
    rows = json.loads(files(__package__).joinpath("facts.json").read_text(encoding="utf-8"))
    return tuple(
        Facts(**row | {"header": row["header"] and tuple(row["header"]), "about": tuple(row["about"])}) for row in rows
    )
