"""Samples that training could not use: listed once each, counted per source, and too many of them stop it."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nvlm.data.quarantine import REASON
from nvlm.data.reading import tar_groups
from nvlm.data.stream import Raw

FEW = 1000
"""The share of bad samples of a source counts as of at least so many: one of the first ten is no ground to stop."""


class Bad(NamedTuple):
    """A sample that is left out: where it is, why, and whether it is broken or just too long."""

    source: str
    folder: str
    shard: str
    key: str
    reason: str
    broken: bool

    @property
    def place(self) -> tuple[str, str, str]:
        return self.folder, self.shard, self.key

    @property
    def where(self) -> str:
        """Where it is, and why it is left out."""
        return f"{self.folder}/{self.shard}/{self.key}, {self.reason}"


def bad(raw: Raw, reason: str, broken: bool = True) -> Bad:
    """A sample that is left out."""
    return Bad(raw.source, raw.address, raw.shard, raw.key, " ".join(reason.split())[:REASON], broken)


class BadSamples:
    """The list of one lane, exact to save and to restore.

    Args:
        path: of the list; ``None`` keeps none.
        max_bad_share: of a source's samples may be broken.
    """

    def __init__(self, path: Path | None, max_bad_share: float) -> None:
        if not 0 <= max_bad_share <= 1:
            raise ValueError(f"max_bad_share is {max_bad_share}; it is a share, between 0 and 1")
        self._path, self._max_share = path, max_bad_share
        self._seen: Counter[str] = Counter()
        self._broken: Counter[str] = Counter()
        self._listed: set[tuple[str, ...]] = set()
        self._length: int | None = None

    def put(self, found: list[Bad], drawn: Mapping[str, int]) -> None:
        """Take down what is left out of the samples that were drawn of each source.

        Raises:
            ValueError: too large a share of a source is broken.
        """
        self._seen.update(drawn)
        self._broken.update(each.source for each in found if each.broken)
        if fresh := [each for each in found if each.place not in self._listed]:
            self._append(fresh)
        for each in found:
            self._check(each)

    def state_dict(self) -> dict[str, Any]:
        """Counts, and how much of the list counts; JSON values."""
        return {"seen": dict(self._seen), "broken": dict(self._broken), "length": self._length or 0}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; what is behind it in the list is cut off."""
        self._seen, self._broken = Counter(state["seen"]), Counter(state["broken"])
        self._load(int(state["length"]))

    def _load(self, length: int) -> None:
        """Keep so many bytes of the list, fewer where it has fewer: a run may go on without the old one's files."""
        self._listed, self._length = set(), 0
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch()
            with self._path.open("r+b") as file:
                file.truncate(min(length, self._path.stat().st_size))
            self._length = self._path.stat().st_size
            self._listed = {each.place for each in _read(self._path)}

    def _append(self, fresh: list[Bad]) -> None:
        if self._length is None:  # a lane that was not restored begins its list anew
            self._load(0)
        self._listed.update(each.place for each in fresh)
        if self._path is not None:
            with self._path.open("ab") as file:
                file.write("".join(json.dumps(each._asdict(), ensure_ascii=False) + "\n" for each in fresh).encode())
            self._length = self._path.stat().st_size

    def _check(self, last: Bad) -> None:
        seen, broken = self._seen[last.source], self._broken[last.source]
        if broken > self._max_share * max(seen, FEW):
            where = "" if self._path is None else f"; all are listed in {self._path}"
            raise ValueError(
                f"{broken:,} of {seen:,} samples of {last.source} cannot be used, and a share of {self._max_share:.1%} "
                f"is allowed, counted of at least {FEW:,}; the last: {last.where}{where} "
                "(--max-bad-share allows more)"
            )


def read_bad(folder: Path) -> list[Bad]:
    """What all lanes of a run have listed, each sample once."""
    found = {each.place: each for path in sorted(folder.glob("lane-*.jsonl")) for each in _read(path)}
    return list(found.values())


def fetch(each: Bad) -> dict[str, bytes]:
    """The parts of a listed sample, to look at or to try again; of folders on this disk.

    Raises:
        ValueError: it is not there any more.
    """
    for key, parts in tar_groups(Path(each.folder) / each.shard):
        if key == each.key:
            return parts
    raise ValueError(f"{each.folder}/{each.shard} has no sample {each.key} any more; was the folder prepared anew?")


def _read(path: Path) -> list[Bad]:
    return [Bad(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
