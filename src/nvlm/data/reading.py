"""Files of published sets, read piece by piece – JSON, JSON lines, Parquet, Arrow, tar –, never a whole set at once."""

import gzip
import json
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO, TypeAlias

Row: TypeAlias = dict[str, Any]
"""A row as its set publishes it."""

PIECE = 1 << 16
"""Characters of a JSON file that are read at a time."""

AFTER_VALUE = tuple(",:]} \t\r\n")
"""What may follow a value: where something else does, such as a full stop after a digit, the value is not yet whole."""

TOGETHER = 16
"""Rows of a Parquet or Arrow file that are decoded at a time: their pictures are held in memory."""


def open_text(path: Path) -> TextIO:
    """A text file, unpacked while it is read if it is gzipped."""
    return gzip.open(path, "rt", encoding="utf-8-sig") if path.suffix == ".gz" else path.open(encoding="utf-8-sig")


def lines(path: Path) -> Iterator[Row | ValueError]:
    """The objects of a file with one JSON object in a line; in place of a line that is none, the error that says so."""
    with open_text(path) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _row(line, f"{path.name}, line {number}")


def _row(line: str, where: str) -> Row | ValueError:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        return ValueError(f"{where}: {error}; is the file cut short?")
    return row if isinstance(row, dict) else ValueError(f"{where} holds no JSON object")


def elements(path: Path, under: str | None = None) -> Iterator[Any]:
    """The elements of a JSON file's list, or of the list under a key of its object, one at a time.

    Raises:
        ValueError: the file is no JSON, has another form, or lacks the key.
    """
    with _opened(path, under) as reader:
        yield from reader.elements()


def values(path: Path) -> Iterator[Any]:
    """The elements of a JSON file's list; of an object its values, and of those that are lists their elements.

    Raises:
        ValueError: the file is no JSON.
    """
    with _opened(path) as reader:
        yield from reader.values()


def entries(path: Path, under: str | None = None) -> Iterator[tuple[str, Any]]:
    """The (name, value) pairs of a JSON file's object, or of the object under a key of it, one at a time.

    Raises:
        ValueError: the file is no JSON, has another form, or lacks the key.
    """
    with _opened(path, under) as reader:
        yield from reader.entries()


def objects(paths: Sequence[Path], under: str | None = None) -> Iterator[Row | ValueError]:
    """The rows of files of one kind: ``.json`` (a list), ``.jsonl``, ``.parquet`` or ``.arrow``.

    Raises:
        ValueError: another kind of file, or one that is not readable.
    """
    for path in paths:
        kind = path.name.removesuffix(".gz").rpartition(".")[2]
        if kind == "json":
            yield from elements(path, under)
        elif kind == "jsonl":
            yield from lines(path)
        elif kind == "parquet":
            yield from parquet(path)
        elif kind == "arrow":
            yield from arrow(path)
        else:
            raise ValueError(f"{path}: rows are read from .json, .jsonl (both also .gz), .parquet and .arrow files")


def parquet(path: Path) -> Iterator[Row]:
    """The rows of a Parquet file.

    Raises:
        ValueError: pyarrow is not installed, or the file is no Parquet.
    """
    module = _pyarrow("pyarrow.parquet", path)
    try:
        for batch in module.ParquetFile(path).iter_batches(batch_size=TOGETHER):
            yield from batch.to_pylist()
    except _pyarrow("pyarrow", path).ArrowInvalid as error:
        raise ValueError(f"{path}: {error}") from error


def arrow(path: Path) -> Iterator[Row]:
    """The rows of an Arrow stream, the files of a Hugging Face dataset after ``save_to_disk``.

    Raises:
        ValueError: pyarrow is not installed, or the file is no Arrow stream.
    """
    module = _pyarrow("pyarrow", path)
    try:
        with module.memory_map(str(path)) as file, module.ipc.open_stream(file) as stream:
            for batch in stream:
                for start in range(0, batch.num_rows, TOGETHER):
                    yield from batch.slice(start, TOGETHER).to_pylist()
    except module.ArrowInvalid as error:
        raise ValueError(f"{path}: {error}") from error


def _pyarrow(name: str, path: Path) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ValueError(f"{path} takes pyarrow to read: pip install pyarrow") from error


def tar_groups(path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """The samples of a WebDataset shard: (key, part name → bytes); files of one key stand beside each other.

    Raises:
        ValueError: the file is no tar, or is cut short.
    """
    key, parts = "", dict[str, bytes]()
    try:
        with tarfile.open(path, "r:") as shard:
            for member in shard:
                if not member.isreg():
                    continue
                folder, _, name = member.name.rpartition("/")
                stem, _, part = name.partition(".")
                here = f"{folder}/{stem}" if folder else stem
                if here != key and parts:
                    yield key, parts
                    parts = {}
                file = shard.extractfile(member)
                assert file is not None, member.name
                key, parts[part] = here, file.read()
                shard.members = []  # type: ignore[attr-defined]  # tarfile would keep every header of the shard
    except tarfile.TarError as error:
        raise ValueError(f"{path} is no readable tar: {error}; was it copied only in part?") from error
    if parts:
        yield key, parts


@contextmanager
def _opened(path: Path, under: str | None = None) -> Iterator["_Reader"]:
    """A reader of a JSON file, inside the value under a key where one is named."""
    with open_text(path) as file:
        reader = _Reader(file, path)
        if under is not None:
            reader.enter(under)
        yield reader


class _Reader:
    """Decodes one JSON value after the other from a file of which only a piece is held."""

    def __init__(self, file: TextIO, path: Path) -> None:
        self._file, self._path = file, path
        self._held, self._at, self._ended = "", 0, False
        self._decoder = json.JSONDecoder()

    def enter(self, key: str) -> None:
        """Go to the value of ``key`` in the object that begins here."""
        for name in self._names():
            if name == key:
                return
            self._skip()
        raise ValueError(f"{self._path} has no {key!r}; is it another file?")

    def elements(self) -> Iterator[Any]:
        for _ in self._items("[", "]"):
            yield self._value()

    def values(self) -> Iterator[Any]:
        if self._peek() == "[":
            yield from self.elements()
            return
        for _ in self._names():
            if self._peek() == "[":
                yield from self.elements()
            else:
                yield self._value()

    def entries(self) -> Iterator[tuple[str, Any]]:
        for name in self._names():
            yield name, self._value()

    def _names(self) -> Iterator[str]:
        for _ in self._items("{", "}"):
            name = self._value()
            self._take(":")
            yield name

    def _items(self, begin: str, end: str) -> Iterator[None]:
        """Stand before each item of a list or an object in turn; who asks reads it."""
        self._take(begin)
        while self._peek() != end:
            yield
            if self._peek() != end:
                self._take(",")
        self._take(end)

    def _skip(self) -> None:
        """Pass over a value, piece by piece where it is a list or an object."""
        following = self._peek()
        inner: Iterable[Any] = self.elements() if following == "[" else self.entries() if following == "{" else ()
        for _ in inner:
            pass
        if following not in "[{":
            self._value()

    def _peek(self) -> str:
        """The next character that is no white space."""
        while True:
            while self._at < len(self._held) and self._held[self._at].isspace():
                self._at += 1
            if self._at < len(self._held):
                return self._held[self._at]
            if self._ended:
                raise ValueError(f"{self._path} ends in the middle; was it copied only in part?")
            self._read(PIECE)

    def _take(self, mark: str) -> None:
        if (found := self._peek()) != mark:
            raise ValueError(f"{self._path}: {mark!r} was expected where {found!r} stands; is it another file?")
        self._at += 1

    def _value(self) -> Any:
        """Decode what comes next, reading on until it is whole: a number may go on after what is held."""
        self._peek()
        size = PIECE
        while True:
            try:
                value, end = self._decoder.raw_decode(self._held, self._at)
            except json.JSONDecodeError as error:
                if self._ended:
                    raise ValueError(f"{self._path} is no readable JSON: {error.msg}; is it cut short?") from error
            else:
                if self._held[end : end + 1] in AFTER_VALUE or self._ended:
                    self._at = end
                    return value
            self._read(size)
            size *= 2

    def _read(self, size: int) -> None:
        piece = self._file.read(size)
        self._held, self._at, self._ended = self._held[self._at :] + piece, 0, not piece
