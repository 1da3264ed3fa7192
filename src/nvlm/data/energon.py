"""What megatron-energon wants to know of a folder of shards, written without its tools; the library is not needed.

``.nv-meta/.info.json`` counts the samples of each shard, ``split.yaml`` says which shards are for training and which
samples are left out, ``dataset.yaml`` that samples are handed out as the bytes of their files.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

FOLDER = ".nv-meta"
EXCLUDED = "excluded.txt"
DATASET = "__module__: megatron.energon\n__class__: CrudeWebdataset\ndecoder: null\n"


def write_metadata(folder: Path, shards: Mapping[str, int]) -> None:
    """Write the metadata of a folder; what its ``excluded.txt`` lists is left out.

    Args:
        folder: of the shards.
        shards: name → samples.
    """
    excluded = sorted(read_excluded(folder))
    place = folder / FOLDER
    place.mkdir(exist_ok=True)
    _write(place / "dataset.yaml", DATASET)
    _write(place / "split.yaml", f"split_parts:\n  train:{_list(list(shards), '  ')}\nexclude:{_list(excluded, '')}\n")
    _write(place / ".info.json", json.dumps({"shard_counts": shards}, indent=1))


def read_excluded(folder: Path) -> set[str]:
    """Places ``SHARD/KEY`` of samples that stay in a folder's shards, but are not to be read."""
    path = folder / EXCLUDED
    return set(path.read_text(encoding="utf-8").split()) if path.is_file() else set()


def write_excluded(folder: Path, places: Iterable[str]) -> None:
    """Leave samples out of a folder from now on, besides those that are left out already."""
    _write(folder / EXCLUDED, "".join(f"{place}\n" for place in sorted(read_excluded(folder) | set(places))))


def _list(names: Sequence[str], indent: str) -> str:
    return "".join(f"\n{indent}- {name}" for name in names) or " []"


def _write(path: Path, text: str) -> None:
    beside = path.with_name(path.name + ".part")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
