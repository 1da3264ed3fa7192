"""The paper's datasets as rows (tables 4 and 6, section 5.3): what each is, where to get it, and what converts it."""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from nvlm.data.prompts import Stage

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Dataset:
    """One row of ``manifest.toml``.

    Attributes:
        name: on the command line, in blends and in folders.
        title: as the paper calls it.
        task: the paper's category; of text-only sets ``text/…``.
        stages: in which the paper uses it.
        address: where its files are to be had: a hub id, a subset behind ``#``, or a page.
        homepage: who made it.
        licence: as far as it was read.
        expected: how many samples it should give, if that is known.
        converter: the name of its family, if there is one.
        options: for the converter.
        why: there is no converter, if there is none.
    """

    name: str
    title: str
    task: str
    stages: tuple[Stage, ...]
    address: str
    homepage: str
    licence: str
    expected: int | None
    converter: str | None
    options: Mapping[str, str]
    why: str

    @property
    def subset(self) -> str:
        """The folder of a collection that holds it; empty if it is no part of one."""
        return "" if "://" in self.address else self.address.partition("#")[2]

    @property
    def text_only(self) -> bool:
        return self.task.startswith("text/")


@cache
def read_manifest() -> Mapping[str, Dataset]:
    """All rows by name, in the order of the file."""
    table = tomllib.loads(files(__package__).joinpath("manifest.toml").read_text(encoding="utf-8"))
    return {
        name: Dataset(
            name,
            row["title"],
            row["task"],
            tuple(row["stages"]),
            row.get("address", UNKNOWN),
            row.get("homepage", UNKNOWN),
            row.get("licence", UNKNOWN),
            row.get("expected"),
            row.get("converter"),
            row.get("options", {}),
            row.get("why", ""),
        )
        for name, row in table.items()
    }


def find_dataset(name: str) -> Dataset:
    """The row of a name.

    Raises:
        ValueError: there is none; the message names the nearest.
    """
    table = read_manifest()
    if name not in table:
        near = difflib.get_close_matches(name.lower(), table, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(
            f"the manifest has no dataset {name!r}{hint} (`nvlm data list` shows all; sets of your own need --format)"
        )
    return table[name]
