"""Settings as they stand in a file beside what was made with them, to be compared with those of a later run."""

import json
from dataclasses import asdict
from typing import Any

__all__ = ["as_written"]


def as_written(settings: Any) -> dict[str, Any]:
    """A dataclass as it comes back from JSON: its tuples are lists, and the dataclasses in it are mappings."""
    found: dict[str, Any] = json.loads(json.dumps(asdict(settings)))
    return found
