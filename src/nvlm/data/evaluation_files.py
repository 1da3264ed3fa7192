"""Evaluation sets as they lie on disk, for the contamination check: every text and every picture in them, by item."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from nvlm.data.reading import arrow, lines, parquet, values
from nvlm.data.shards import PATTERN, read_shards
from nvlm.data.sources.folder import ENDINGS
from nvlm.processing.images import ImageError, load_image

ROWS = (".json", ".jsonl", ".jsonl.gz", ".json.gz", ".csv", ".parquet", ".arrow")


class Item(NamedTuple):
    """One evaluation item: what it is called in reports, its texts and its pictures."""

    name: str
    texts: list[str]
    pictures: list[Image.Image]


def read_items(path: Path) -> Iterator[Item]:
    """The items of a set: a prepared folder, a file of rows, a picture, or a folder of such.

    Raises:
        ValueError: there is nothing of the kind, or a file is not readable.
    """
    if path.is_dir() and any(path.glob(PATTERN)):
        for place, sample in read_shards(path):
            yield Item(f"{path.name}/{place}", list(strings(sample.messages)), sample.images)
        return
    files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if _is_read(each))
    if not files or not all(_is_read(each) for each in files):
        raise ValueError(f"{path} has no evaluation items; files {', '.join(ROWS)} and pictures are read")
    for each in files:
        name = each.name if each == path else f"{path.name}/{each.relative_to(path).as_posix()}"
        if each.suffix.lower() in ENDINGS:
            yield Item(name, [], _opened(each))
        else:
            for number, row in enumerate(_rows(each)):
                yield Item(f"{name}#{number}", list(strings(row)), [image for cell in cells(row) for image in cell])


def strings(value: Any) -> Iterator[str]:
    """Every string in a row, whatever it is nested in."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def cells(value: Any) -> Iterator[list[Image.Image]]:
    """Every picture that a row holds as bytes, in a list; an empty one where the bytes are no picture."""
    if isinstance(value, bytes):
        yield _opened(value)
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from cells(inner)


def _is_read(path: Path) -> bool:
    return path.name.lower().endswith((*ROWS, *ENDINGS))


def _opened(source: Path | bytes) -> list[Image.Image]:
    try:
        return [load_image(source)]
    except ImageError:
        return []


def _rows(path: Path) -> Iterator[Any]:
    kind = path.name.lower().removesuffix(".gz").rpartition(".")[2]
    if kind == "csv":
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from csv.DictReader(file)
        return
    for row in {"json": values, "jsonl": lines, "parquet": parquet, "arrow": arrow}[kind](path):
        if isinstance(row, ValueError):
            raise row
        yield row
