"""Rows of published sets whose pictures stay where they are until they are asked for; see also `nvlm.data.reading`."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

from PIL import Image

from nvlm.data import reading
from nvlm.data.reading import Row
from nvlm.processing.images import ImageSource


@dataclass(frozen=True)
class Cell:
    """A picture inside a Parquet file, read when it is needed."""

    file: Path
    group: int
    row: int
    column: str

    def read(self) -> bytes:
        """The bytes of the picture's file.

        Raises:
            ValueError: the cell is empty, or names a file elsewhere in place of holding it.
        """
        value = _column(self.file, self.group, self.column)[self.row].as_py()
        data = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(data, bytes):
            raise ValueError(f"{self} holds no picture")
        return data

    def __str__(self) -> str:
        return f"{self.file.name}#{self.group}.{self.row}.{self.column}"


Picture: TypeAlias = Path | Cell | Image.Image
"""Where a picture is: a file, a cell of a Parquet file, or drawn already."""


def image_source(picture: Picture) -> ImageSource:
    """The picture as the processor takes it."""
    return picture.read() if isinstance(picture, Cell) else picture


def picture_name(picture: Picture) -> str:
    """What stands for a picture in a record."""
    if isinstance(picture, Image.Image):
        return f"drawn, {picture.width}x{picture.height}"
    return str(picture)


def lines(path: Path) -> Iterator[Row]:
    """The objects of a file with one JSON object in a line.

    Raises:
        ValueError: a line that is no JSON object.
    """
    for row in reading.lines(path):
        if isinstance(row, ValueError):
            raise ValueError(f"{path.parent}: {row}") from row
        yield row


def table(paths: Sequence[Path], pictures: Collection[str]) -> Iterator[Row]:
    """The rows of Parquet files, without the bytes of the columns ``pictures``, which become cells.

    Raises:
        ValueError: pyarrow is not installed.
    """
    for path in paths:
        file = _open(path)
        names = file.schema_arrow.names
        texts = [name for name in names if name not in pictures]
        for group in range(file.num_row_groups):
            for number, row in enumerate(file.read_row_group(group, columns=texts).to_pylist()):
                yield row | {name: Cell(path, group, number, name) for name in names if name in pictures}


@lru_cache(maxsize=4)
def _column(path: Path, group: int, name: str) -> Any:
    """One column of one row group: pictures are asked for in order, so this is read once."""
    return _open(path).read_row_group(group, columns=[name]).column(name)


def _open(path: Path) -> Any:
    try:
        return import_module("pyarrow.parquet").ParquetFile(path)
    except ImportError as error:
        raise ValueError(f"{path} takes pyarrow to read: pip install pyarrow") from error
