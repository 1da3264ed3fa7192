"""What a conversion reads, turns and writes, and in which order: settled from headers and small files, before anything
is written.

A published tensor and those of ours that it holds are a *unit*, the smallest thing that can be converted. Units are in
the order in which the source's tensors lie on disk, so that a conversion reads its source from the first byte to the
last.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nvlm.checkpoints.published import (
    note_padding,
    own_names,
    own_shapes,
    published_name,
    published_shapes,
    to_own,
    to_published,
)
from nvlm.checkpoints.published_config import from_published, is_published
from nvlm.checkpoints.published_folder import check_folder
from nvlm.checkpoints.shards import plan_shards, shard_names
from nvlm.checkpoints.sidecars import nvidia_files, own_files
from nvlm.checkpoints.stored import Stored, StoredTensors
from nvlm.modeling.config import NVLMConfig

__all__ = ["LAYOUTS", "Plan", "Unit"]

LAYOUTS = {"nvlm": "this package's layout", "nvidia": "NVIDIA's layout"}


class Unit(NamedTuple):
    """A published tensor and those of ours that it holds."""

    published: str
    own: tuple[str, ...]


class Plan:
    """One source and what becomes of it.

    Attributes:
        stored: the source's tensors.
        shards: the target's files of weights, and the units of each.
        tensors: every tensor of the target by name.
        files: the target's other files by name, config.json among them.

    Args:
        source: the folder to convert.
        to: a key of `LAYOUTS`.
        shard_size: largest size of a file of weights in bytes.

    Raises:
        ValueError: the source cannot be converted.
    """

    def __init__(self, source: Path, to: str, shard_size: int) -> None:
        settings = _settings(source)
        if is_published(settings) == (to == "nvidia"):
            raise ValueError(f"{source} is in {LAYOUTS[to]} already; there is nothing to convert")
        self.source, self.to, self.shard_size = source, to, shard_size
        self.stored = StoredTensors(source)
        if to == "nvlm":
            self.config = self._published_config(settings)
            self.files, shapes = own_files(source, self.config), own_shapes(self.config)
        else:
            self.config = NVLMConfig.from_dict(settings)
            self.files, shapes = nvidia_files(source, self.config), published_shapes(self.config)
            _check_own(self.stored, own_shapes(self.config))
        self.shards, self.tensors = self._plan(shapes)
        self.nbytes = sum(stored.nbytes for stored in self.tensors.values())

    def identity(self) -> dict[str, Any]:
        """What an interrupted conversion must have in common with this one to be continued."""
        rows = [f"{name} {stored}" for name, stored in self.stored.tensors.items()]
        for file in self.stored.files:
            seen = (self.source / file).stat()
            rows.append(f"{file} {seen.st_size} {seen.st_mtime_ns}")
        source = hashlib.sha256((self.source / "config.json").read_bytes() + "\n".join(rows).encode()).hexdigest()
        return {"source": source, "to": self.to, "shard_size": self.shard_size}

    def shard(self, file: str) -> dict[str, Stored]:
        """The tensors of one of the target's files."""
        return {name: stored for name, stored in self.tensors.items() if stored.file == file}

    def taken(self, unit: Unit) -> tuple[str, ...]:
        """The names that a unit is read from."""
        return (unit.published,) if self.to == "nvlm" else unit.own

    def made(self, unit: Unit) -> tuple[str, ...]:
        """The names that it is written to."""
        return unit.own if self.to == "nvlm" else (unit.published,)

    def turn(self, unit: Unit) -> dict[str, Tensor]:
        """What a unit is written as."""
        tensors = {name: self.stored.read(name) for name in self.taken(unit)}
        return _turn(unit, tensors, self.config, self.to)

    def turn_back(self, unit: Unit, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What it was read from, out of what was written."""
        return _turn(unit, tensors, self.config, "nvidia" if self.to == "nvlm" else "nvlm")

    def _published_config(self, settings: dict[str, Any]) -> NVLMConfig:
        config = from_published(settings, self.source)
        check_folder(self.source, config)
        for name, stored in self.stored.tensors.items():
            norm = len(stored.shape) == 1  # whose dummy channels hold something that has to be known
            tensor = self.stored.read(name) if norm else torch.empty(stored.shape, device="meta")
            note_padding(name, tensor, config)
        return config

    def _plan(self, shapes: Mapping[str, tuple[int, ...]]) -> tuple[dict[str, list[Unit]], dict[str, Stored]]:
        names = [name if self.to == "nvlm" else published_name(name) for name in self.stored.tensors]
        units = {name: Unit(name, own_names(name)) for name in dict.fromkeys(names)}
        tensors = {name: stored for unit in units.values() for name, stored in self._sized(unit, shapes).items()}
        sizes = {name: sum(tensors[made].nbytes for made in self.made(unit)) for name, unit in units.items()}
        cut = plan_shards(sizes, self.shard_size)
        shards = {file: [units[name] for name in names] for file, names in zip(shard_names(len(cut)), cut, strict=True)}
        files = {name: file for file, held in shards.items() for unit in held for name in self.made(unit)}
        return shards, {name: stored._replace(file=files[name]) for name, stored in tensors.items()}

    def _sized(self, unit: Unit, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Stored]:
        """What a unit is written as, still without a file."""
        parts = [self.stored.tensors[name] for name in self.taken(unit)]
        if len({part.dtype for part in parts}) > 1:
            found = ", ".join(f"{name} {self.stored.tensors[name].dtype}" for name in self.taken(unit))
            raise ValueError(f"{unit.published} is one tensor in NVIDIA's layout, but here its parts differ: {found}")
        item = parts[0].nbytes // math.prod(parts[0].shape)
        return {
            name: Stored("", parts[0].dtype, shapes[name], item * math.prod(shapes[name])) for name in self.made(unit)
        }


def _turn(unit: Unit, tensors: Mapping[str, Tensor], config: NVLMConfig, to: str) -> dict[str, Tensor]:
    """A unit's tensors of one layout as those of the other."""
    if to == "nvlm":
        return to_own(unit.published, tensors[unit.published], config)
    return {unit.published: to_published(unit.published, tensors, config)}


def _settings(source: Path) -> dict[str, Any]:
    """config.json of a folder in one of the two layouts."""
    path = source / "config.json"
    if not path.is_file():
        raise ValueError(f"the folder {source} holds no config.json; is it a saved model?")
    try:
        settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no readable JSON; was it cut short?") from error
    if not is_published(settings) and settings.get("model_type") != NVLMConfig.model_type:
        raise ValueError(
            f"{source} is a model of the family {settings.get('model_type')!r}; 'NVLM_D' (NVIDIA's layout) and "
            f"{NVLMConfig.model_type!r} (this package's) can be converted"
        )
    return settings


def _check_own(stored: StoredTensors, wanted: Mapping[str, tuple[int, ...]]) -> None:
    """Hold names and shapes of a folder in our layout against what its config.json asks for."""
    if missing := [name for name in wanted if name not in stored.tensors]:
        raise ValueError(
            f"{stored.folder} lacks {len(missing)} of the {len(wanted)} tensors that its config.json asks for, the "
            f"first is {missing[0]}; was the folder copied only in part?"
        )
    if unknown := [name for name in stored.tensors if name not in wanted]:
        raise ValueError(
            f"{stored.folder} holds {len(unknown)} tensors that its config.json has no place for, the first is "
            f"{unknown[0]}; does config.json belong to these weights?"
        )
    for name, shape in wanted.items():
        if (found := stored.tensors[name].shape) != shape:
            raise ValueError(f"in {stored.folder}, {name} has the shape {found} but config.json asks for {shape}")
