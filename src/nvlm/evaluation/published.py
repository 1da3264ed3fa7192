"""The paper's own numbers, to stand beside what is measured here: arXiv 2409.11402, tables 1, 2, 3, 7, 8, 9, 12 and 13.

They were read off the paper, not measured with this package: other data, other benchmarks, other sizes. Table 7 also
holds what its authors took from others' reports.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

MARK = "published, not measured here"


@dataclass(frozen=True)
class PublishedRow:
    """A model's values by column, the table of the paper they stand in, and its language model where that is named."""

    model: str
    source: str
    values: Mapping[str, float]
    note: str = ""


@dataclass(frozen=True)
class PublishedTable:
    """A table of the paper. Rows at 34B are from tables 12 and 13, which go on with tables 7 and 8."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[PublishedRow, ...]

    def row(self, model: str) -> PublishedRow:
        """The row of a model.

        Raises:
            ValueError: the table has none of that name.
        """
        for row in self.rows:
            if row.model == model:
                return row
        models = ", ".join(row.model for row in self.rows)
        raise ValueError(f"the table {self.title!r} has no row {model!r}; there is {models}")

    def only(self, *names: str) -> "PublishedTable":
        """The table with the rows whose names begin with one of these."""
        kept = tuple(row for row in self.rows if row.model.startswith(names))
        return PublishedTable(self.title, self.columns, kept)


@cache
def published(table: str) -> PublishedTable:
    """Table "1", "2", "3", "7", "8" or "9" of the paper.

    Raises:
        KeyError: no such table is kept here.
    """
    held = json.loads(files(__package__).joinpath("published.json").read_text(encoding="utf-8"))[table]
    rows = tuple(PublishedRow(**row) for row in held["rows"])
    return PublishedTable(held["title"], tuple(held["columns"]), rows)
