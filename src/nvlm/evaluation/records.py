"""The answers of a run on disk: one JSON line per question, appended as they come, so that a run can be continued.

One process writes ``NAME.jsonl``. Of several, each writes a shard of its own, ``NAME.2-of-4.jsonl``; when all are done,
the shards become ``NAME.jsonl``.
"""

import heapq
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

Record = dict[str, Any]


class Records:
    """The records of one benchmark.

    Args:
        folder: where they are kept; in memory only, if None.
        name: of the benchmark; it may hold a slash.
        rank, count: which of how many processes this is.

    Raises:
        ValueError: several processes and no folder.
    """

    def __init__(self, folder: Path | None, name: str, rank: int = 0, count: int = 1) -> None:
        if folder is None and count > 1:
            raise ValueError(f"{count} processes need --out, a folder that all of them reach")
        self._memory: list[Record] = []
        self._whole = None if folder is None else folder / f"{name}.jsonl"
        self._own = self._whole
        if self._whole is not None and self._own is not None:
            self._whole.parent.mkdir(parents=True, exist_ok=True)
            if count > 1:
                self._own = self._whole.with_suffix(f".{rank + 1}-of-{count}.jsonl")
            _mend(self._own)

    def __iter__(self) -> Iterator[Record]:
        """Every answered question once, from all processes, in the order in which they were asked."""
        if self._whole is None:
            yield from self._memory
            return
        seen: set[str] = set()
        files = [_read(path) for path in [self._whole, *self._shards()]]
        for record in heapq.merge(*files, key=lambda record: record["index"]):
            if record["id"] not in seen:
                seen.add(record["id"])
                yield record

    @property
    def scattered(self) -> bool:
        """Are there shards?"""
        return self._whole is not None and bool(self._shards())

    def append(self, records: Iterable[Record]) -> None:
        """Write records; they are on disk afterwards."""
        if self._own is None:
            self._memory += records
            return
        with self._own.open("a", encoding="utf-8") as file:
            file.write("".join(_line(record) for record in records))

    def replace(self, records: Iterable[Record]) -> None:
        """Write all records anew, complete or not at all, and drop the shards."""
        if self._whole is None:
            self._memory = list(records)
            return
        shards = self._shards()
        beside = self._whole.with_suffix(".part")
        with beside.open("w", encoding="utf-8") as file:
            file.writelines(map(_line, records))
        beside.replace(self._whole)
        for shard in shards:
            shard.unlink()

    def _shards(self) -> list[Path]:
        assert self._whole is not None
        return sorted(self._whole.parent.glob(f"{self._whole.stem}.*-of-*.jsonl"))


def _line(record: Record) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"


def _read(path: Path) -> Iterator[Record]:
    """The complete lines of a file; the last one may be torn."""
    if not path.exists():
        return
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith("\n"):
                return
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"{path}, line {number} is no readable record: {error}") from error


def _mend(path: Path) -> None:
    """Cut off a torn last line, so that the next record begins a line of its own."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        kept = sum(len(line) for line in file if line.endswith(b"\n"))
        file.truncate(kept)
