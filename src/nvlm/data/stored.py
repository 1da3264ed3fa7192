"""Samples of prepared folders as they are stored: fields and bytes, nothing decoded."""

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nvlm.data.energon import read_excluded
from nvlm.data.reading import tar_groups
from nvlm.data.shards import PATTERN

Stored = tuple[dict[str, Any], dict[str, bytes]]
"""The fields of a sample's JSON, and its parts."""


def stored_samples(folder: Path) -> Iterator[Stored]:
    """The samples of a prepared folder, without those that ``excluded.txt`` lists.

    Raises:
        ValueError: there is no shard, or one is damaged.
    """
    excluded = read_excluded(folder)
    for path in _shards(folder):
        for key, parts in tar_groups(path):
            if f"{path.name}/{key}" not in excluded:
                yield json.loads(parts["json"]), parts


def stored_fields(folder: Path) -> Iterator[dict[str, Any]]:
    """The fields alone: pictures are not read.

    Raises:
        ValueError: there is no shard, or one is damaged.
    """
    excluded = read_excluded(folder)
    for path in _shards(folder):
        try:
            with tarfile.open(path, "r:") as shard:
                for member in shard:
                    key, _, part = member.name.partition(".")
                    file = shard.extractfile(member) if part == "json" else None
                    if file is not None and f"{path.name}/{key}" not in excluded:
                        yield json.load(file)
                    shard.members = []  # type: ignore[attr-defined]  # tarfile would keep every header of the shard
        except tarfile.TarError as error:
            raise ValueError(f"{path} is no readable tar: {error}; was it copied only in part?") from error


def _shards(folder: Path) -> list[Path]:
    paths = sorted(folder.glob(PATTERN))
    if not paths:
        raise ValueError(f"{folder} has no shards; is it a folder that `nvlm data prepare` wrote?")
    return paths
