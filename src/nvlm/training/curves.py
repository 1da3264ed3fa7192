"""The curves of a run, from its log."""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

LOG = "log.jsonl"

TITLES = {
    "loss": "loss",
    "norm": "gradient norm",
    "samples_per_second": "samples/s",
    "tokens_per_second": "tokens/s",
    "images_per_second": "images/s",
    "fill": "share of places filled",
    "mfu": "share of peak",
    "mfu_without_vision": "share of peak, without vision",
    "rate": "rate / peak rate",
}
"""What rows hold, in the order in which it is drawn."""
FAMILIES = {"norms": "gradient norm", "gates": "tanh(gate) of layer", "scores": "score"}

Curve = list[tuple[int, float]]


def log_of(folder: Path) -> Path:
    """The log of a run: in the folder of a stage, or the newest one below.

    Raises:
        FileNotFoundError: there is none.
    """
    if (folder / LOG).exists():
        return folder / LOG
    found = sorted(folder.rglob(LOG), key=lambda path: path.stat().st_mtime)
    if not found:
        raise FileNotFoundError(f"neither {folder} nor a folder in it holds a {LOG}; is it the folder of a run?")
    return found[-1]


def rows(log: Path) -> list[dict[str, Any]]:
    """The rows of a log; one that is being written is left out."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def curves(found: Iterable[dict[str, Any]]) -> dict[str, Curve]:
    """Curves by title: (step, value) where a row has a finite value."""
    drawn: dict[str, Curve] = {title: [] for title in TITLES.values()}
    for row in found:
        for title, value in _values(row):
            if math.isfinite(value):
                drawn.setdefault(title, []).append((row["step"], value))
    return {title: curve for title, curve in drawn.items() if curve}


def _values(row: dict[str, Any]) -> Iterable[tuple[str, float]]:
    if row.get("seconds") and "samples" in row:
        yield TITLES["samples_per_second"], row["samples"] / row["seconds"]
    for name, title in TITLES.items():
        if name in row:
            yield title, row[name]
    for name, title in FAMILIES.items():
        for member, value in row.get(name, {}).items():
            yield f"{title}, {member}", value
    for source, about in row.get("sources", {}).items():
        if "loss" in about:
            yield f"loss, {source}", about["loss"]
