"""Checkpoints: tensors by torch's distributed checkpointing as safetensors, all else as JSON, and nothing pickled.

A checkpoint is written beside, renamed when it is whole, and then pointed to. Whoever wrote it, any number of processes
in any layout reads it: tensors are named as in the whole model.
"""

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from nvlm.training import lane_states, tensor_files
from nvlm.training.ranks import Ranks

KEPT = 2
POINTER = "latest"
TENSORS, LANES = "tensors", "lanes"
ALONE = Ranks()


@dataclass(frozen=True)
class Checkpoint:
    """Where a run stands after ``step`` steps."""

    step: int
    path: Path
    numbers: dict[str, Any]

    def lane(self, number: int) -> dict[str, Any]:
        """Where a lane stood."""
        return lane_states.read(self.path / LANES, number)


def save(
    folder: Path,
    step: int,
    tensors: Mapping[str, Tensor],
    numbers: Mapping[str, Any],
    *,
    lanes: Mapping[int, dict[str, Any]] | None = None,
    provenance: Mapping[str, Any] | None = None,
    ranks: Ranks = ALONE,
    kept: int = KEPT,
) -> Path:
    """Write ``folder/step-…``: complete or not there at all, whenever a process dies. All processes call it together.

    Args:
        tensors: from `tensor_files.state`.
        numbers: what else describes the run; goes to ``state.json``.
        lanes: states of this rank's lanes, by number.
        provenance: what the run was made with; goes to ``provenance.json``.
        kept: so many checkpoints stay.
    """
    beside = begin(folder, step, lanes or {}, ranks)
    tensor_files.write(beside / TENSORS, tensors, ranks)
    return complete(beside, {"step": step, **numbers}, provenance or {}, ranks, kept)


def begin(folder: Path, step: int, lanes: Mapping[int, dict[str, Any]], ranks: Ranks) -> Path:
    """The folder in which a checkpoint is put together, with the states of the lanes in it."""
    beside = folder / f"step-{step:07d}.part"
    if ranks.first:
        for unfinished in folder.glob("step-*.part"):
            shutil.rmtree(unfinished)
        (beside / LANES).mkdir(parents=True)
    ranks.wait()
    for number, state in lanes.items() if ranks.counts else ():
        lane_states.write(beside / LANES, number, state)
    return beside


def complete(beside: Path, numbers: Mapping[str, Any], provenance: Mapping[str, Any], ranks: Ranks, kept: int) -> Path:
    """Make what was put together a checkpoint, once all processes have written; the oldest ones go."""
    folder, target = beside.parent, beside.with_suffix("")
    ranks.wait()
    if ranks.first:
        (beside / "provenance.json").write_text(json.dumps(provenance, indent=1, default=str), encoding="utf-8")
        about = {**numbers, "files": _sizes(beside)}
        (beside / "state.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
        shutil.rmtree(target, ignore_errors=True)
        beside.rename(target)
        _point(folder, target)
        for old in [path for path in steps(folder) if path.name <= target.name][:-kept]:
            shutil.rmtree(old)
    ranks.wait()
    return target


def steps(folder: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    return sorted(path for path in folder.glob("step-*") if path.suffix != ".part")


def latest(folder: Path) -> Checkpoint | None:
    """The checkpoint that is pointed to, or the newest other one that is whole; a damaged one is passed over loudly.

    Raises:
        ValueError: the folder holds checkpoints of another format.
    """
    found = steps(folder)
    pointer = folder / POINTER
    pointed = pointer.read_text(encoding="utf-8").strip() if pointer.exists() else None
    for path in sorted(found, key=lambda path: (path.name == pointed, path.name), reverse=True):
        if (path / "state.safetensors").exists() and not (path / TENSORS).exists():
            raise ValueError(
                f"{path} was written by an earlier version of nvlm, whose checkpoints this one does not read; finish "
                "that run with that version, or begin anew in another folder"
            )
        try:
            return _opened(path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            print(f"checkpoint {path} cannot be read ({error}); trying the one before", file=sys.stderr)
    if found:
        print(f"no checkpoint in {folder} can be read: the run starts again from its first step", file=sys.stderr)
    return None


def restore(checkpoint: Checkpoint, model: nn.Module, optimizers: dict[str, Optimizer]) -> None:
    """Put a checkpoint back into the learning parameters and their optimisers, however they are spread.

    Raises:
        ValueError: the checkpoint was written for other parameters.
    """
    tensor_files.restore(checkpoint.path / TENSORS, model, optimizers)


def _opened(path: Path) -> Checkpoint:
    numbers = json.loads((path / "state.json").read_text(encoding="utf-8"))
    step, files = int(numbers.pop("step")), numbers.pop("files")
    if odd := sorted(name for name, size in files.items() if (path / name).stat().st_size != size):
        raise ValueError(f"{odd[0]} has {(path / odd[0]).stat().st_size} bytes instead of {files[odd[0]]}")
    return Checkpoint(step, path, numbers)


def _sizes(folder: Path) -> dict[str, int]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def _point(folder: Path, target: Path) -> None:
    beside = folder / f"{POINTER}.part"
    beside.write_text(target.name + "\n", encoding="utf-8")
    beside.replace(folder / POINTER)
