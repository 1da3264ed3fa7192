"""What is to be prepared: original files, their converter, and where the shards go."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nvlm.data.manifest import Dataset, find_dataset, read_manifest
from nvlm.data.prompts import Stage
from nvlm.data.sources.source import Source


@dataclass(frozen=True)
class Plan:
    """What is to be prepared.

    Attributes:
        source: the original files.
        family: the name of their converter.
        task: of all samples that name none themselves.
        out: folder of the shards.
        shard_bytes: a shard is closed when it has so many.
        max_bad_share: of the rows may be in quarantine.
        rows: how many rows are expected, if that is known.
    """

    source: Source
    family: str
    task: str
    out: Path
    shard_bytes: int = 256 * 2**20
    max_bad_share: float = 0.01
    rows: int | None = None

    def __post_init__(self) -> None:
        if self.shard_bytes < 1 or not 0 <= self.max_bad_share <= 1:
            raise ValueError(
                f"a shard of {self.shard_bytes} bytes and a share of {self.max_bad_share} bad rows make no sense; "
                "the first must be at least 1, the second between 0 and 1"
            )

    def settings(self) -> dict[str, Any]:
        """What the shards depend on: another value needs another folder."""
        source = self.source
        return {
            "name": source.name,
            "from": str(source.folder.resolve()),
            "format": self.family,
            "options": dict(source.options),
            "stage": source.stage,
            "task": self.task,
            "shard_bytes": self.shard_bytes,
        }


def make_plan(
    name: str,
    path: Path,
    out: Path,
    *,
    stage: Stage | None = None,
    format: str | None = None,
    fields: Sequence[str] = (),
    images: Path | None = None,
    task: str | None = None,
    shard_bytes: int = 256 * 10**6,
    max_bad_share: float = 0.01,
) -> Plan:
    """The plan for a dataset of the manifest, or with ``format`` for anybody's own.

    Args:
        name: of the dataset.
        path: of its original files, or of the collection of which it is a subset.
        out: the shards go to ``out/STAGE/NAME``.
        stage: which prompts; by default the only one of the dataset, else fine-tuning's.
        format: the converter, in place of the manifest's.
        fields: ``FIELD=NAME``, options of that converter.
        images: where pictures lie that rows name, if not in ``path``.
        task: of the samples, in place of the manifest's.
        shard_bytes, max_bad_share: as in ``Plan``.

    Raises:
        ValueError: there is no such dataset or converter, or what is asked for does not go together.
    """
    listed = read_manifest().get(name) if format else find_dataset(name)
    converter = format or (listed.converter if listed else None)
    if converter is None:
        assert listed is not None
        raise ValueError(
            f"{name} has no converter: {listed.why}; with --format you can bring in rows of your own making"
        )
    if not path.exists():
        raise ValueError(f"{path} does not exist")
    stage = stage or (listed.stages[0] if listed and len(listed.stages) == 1 else "sft")
    if listed and stage not in listed.stages:
        raise ValueError(f"the paper uses {name} for {listed.stages[0]} only, not for {stage}")
    if listed and (path / listed.subset).is_dir():
        path = path / listed.subset
    source = Source(name, path, stage, _options(listed, format, fields), images)
    return Plan(
        source,
        converter,
        task or (listed.task if listed else name),
        out / stage / name,
        shard_bytes,
        max_bad_share,
        listed.expected if listed else None,
    )


def _options(listed: Dataset | None, format: str | None, fields: Sequence[str]) -> dict[str, str]:
    if format is None:
        if fields:
            raise ValueError("--fields says what files of your own call a field; it goes with --format")
        return dict(listed.options) if listed else {}
    options = dict[str, str]()
    for field in fields:
        known, mark, called = field.partition("=")
        if not (known and mark and called):
            raise ValueError(f"--fields takes FIELD=NAME, and {field!r} is not of that form")
        options[known] = called
    return options
