"""What of the paper's datasets lies on this disk, as tables in text."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nvlm.data.manifest import Dataset, read_manifest
from nvlm.data.prepared import NAME, Prepared, read_prepared
from nvlm.data.prompts import STAGES, Stage


class Entry(NamedTuple):
    """A dataset in one stage, and how far it is prepared; a set of somebody's own has no row in the manifest."""

    name: str
    stage: Stage
    dataset: Dataset | None
    prepared: Prepared | None

    @property
    def complete(self) -> bool:
        return self.prepared is not None and self.prepared.complete


def find_entries(root: Path, stage: Stage | None = None) -> list[Entry]:
    """Every dataset of the manifest in every stage that uses it (or in one stage), then what else is prepared."""
    stages = [each for each in STAGES if stage in (None, each)]
    listed = [
        Entry(name, each, dataset, read_prepared(root / each / name))
        for each in stages
        for name, dataset in read_manifest().items()
        if each in dataset.stages
    ]
    known = {(entry.stage, entry.name) for entry in listed}
    others = [
        Entry(path.parent.name, each, None, read_prepared(path.parent))
        for each in stages
        for path in sorted((root / each).glob(f"*/{NAME}"))
        if (each, path.parent.name) not in known
    ]
    return listed + others


def table(entries: Sequence[Entry], missing: bool = False) -> str:
    """The entries in lines, with a summary; with ``missing`` only those that are not complete."""
    shown = [entry for entry in entries if not (missing and entry.complete)]
    rows = [("dataset", "stage", "task", "expected", "prepared", "get it from"), *map(_row, shown)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    lines = ["  ".join([*map(str.ljust, row, widths), row[-1]]) for row in rows]
    done = sum(entry.complete for entry in entries)
    none = sum(entry.dataset is not None and entry.dataset.converter is None for entry in entries)
    return "\n".join(
        [
            *lines,
            "",
            f"{done} of {len(entries)} prepared; {none} have no converter (`nvlm data list NAME` says why)",
        ]
    )


def _row(entry: Entry) -> tuple[str, ...]:
    dataset = entry.dataset
    task, expected, address = ("–", "–", "–") if dataset is None else (dataset.task, _count(dataset), dataset.address)
    return entry.name, entry.stage, task, expected, progress_of(entry.prepared, dataset), address


def _count(dataset: Dataset) -> str:
    return "unknown" if dataset.expected is None else f"{dataset.expected:,}"


def progress_of(prepared: Prepared | None, dataset: Dataset | None) -> str:
    """How far a dataset is, in a few words."""
    if prepared is None:
        return "no converter" if dataset is not None and dataset.converter is None else "missing"
    quarantine = f", {prepared.bad:,} in quarantine" if prepared.bad else ""
    return f"{prepared.samples:,}{quarantine}" + ("" if prepared.complete else ", unfinished")


def describe(dataset: Dataset, root: Path) -> str:
    """Everything about one dataset."""
    options = [f"  {name} = {value}" for name, value in dataset.options.items()]
    places = [
        f"{stage}: {progress_of(read_prepared(root / stage / dataset.name), dataset)} ({root / stage / dataset.name})"
        for stage in dataset.stages
    ]
    return "\n".join(
        [
            f"{dataset.name}: {dataset.title} ({dataset.task})",
            f"get it from: {dataset.address}",
            f"homepage: {dataset.homepage}",
            f"licence: {dataset.licence}",
            f"expected samples: {_count(dataset)}",
            f"converter: {dataset.converter}" if dataset.converter else f"no converter: {dataset.why}",
            *options,
            *places,
            "",
        ]
    )
