"""The list of rows that could not be used: ``quarantine.jsonl``, appended to, cut back where a run was cut off.

A line is ``{"row", "id", "reason"}``, or ``{"row", "stored"}`` when a later run could use the row after all.
"""

import contextlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

NAME = "quarantine.jsonl"
REASON = 500
"""Characters of a reason that are kept."""


class Quarantine:
    """The list of one prepared folder.

    Args:
        folder: of the shards.
        length: bytes of the list that count; what is behind them is of a shard that was never finished.
    """

    def __init__(self, folder: Path, length: int) -> None:
        self.path = folder / NAME
        self.path.touch()
        with self.path.open("r+b") as file:
            file.truncate(length)
        self._file = self.path.open("a", encoding="utf-8")

    def put(self, row: int, id: str, reason: str) -> None:
        """A row cannot be used."""
        self._write({"row": row, "id": id, "reason": reason[:REASON]})

    def release(self, row: int, shard: str) -> None:
        """A row of the list is stored now."""
        self._write({"row": row, "stored": shard})

    def flush(self) -> int:
        """Write the list; its length in bytes."""
        self._file.flush()
        return self.path.stat().st_size

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):  # the disk may be full; what counts was flushed
            self._file.close()

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")


def quarantined(folder: Path) -> dict[int, str]:
    """Rows that are in quarantine still, with the reason."""
    found: dict[int, str] = {}
    path = folder / NAME
    if not path.is_file():
        return found
    with path.open(encoding="utf-8") as file:
        for line in file:
            entry = json.loads(line)
            if "stored" in entry:
                found.pop(entry["row"], None)
            else:
                found[entry["row"]] = entry["reason"]
    return found


def main_reason(folder: Path) -> str:
    """The most frequent reason, with how many rows have it; of reasons that name a file, the part behind the name."""
    kinds = Counter(reason.rpartition("/")[2].partition(": ")[2] or reason for reason in quarantined(folder).values())
    kind, count = kinds.most_common(1)[0]
    return f"{count:,} × {kind}"
