"""How far a folder of shards is: ``prepared.json``, written when a shard is whole, and whole itself at any moment."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

NAME = "prepared.json"


@dataclass
class Prepared:
    """How far a folder is.

    Attributes:
        settings: of the plan.
        rows: done.
        bad: of them are in quarantine.
        shards: name → samples.
        complete: every row is done.
        listed: bytes of the quarantine's list that count.
        retried: rows done of a pass over the quarantine that is not finished.
    """

    settings: dict[str, Any]
    rows: int = 0
    bad: int = 0
    shards: dict[str, int] = field(default_factory=dict)
    complete: bool = False
    listed: int = 0
    retried: int = 0

    @property
    def samples(self) -> int:
        return sum(self.shards.values())


def read_prepared(folder: Path) -> Prepared | None:
    """How far a folder is; ``None`` where nothing was prepared.

    Raises:
        ValueError: its state is not readable.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        return Prepared(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is not readable ({error}); remove {folder} to prepare it anew") from error


def write_prepared(folder: Path, prepared: Prepared) -> None:
    """Put down how far a folder is."""
    path = folder / NAME
    beside = path.with_name(NAME + ".part")
    beside.write_text(json.dumps(asdict(prepared), indent=1), encoding="utf-8")
    beside.replace(path)
