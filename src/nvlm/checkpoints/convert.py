"""A checkpoint from NVIDIA's layout to this package's, or back: streaming, resumable, and read back at the end.

Never more than one unit (see `conversion_plan`) is in memory, whatever the size of the model. What is finished is noted
in a state file in the target; config.json comes last, so that nothing unfinished can be taken for a model.
"""

import errno
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from nvlm.checkpoints.conversion_plan import LAYOUTS, Plan, Unit
from nvlm.checkpoints.conversion_state import ConversionState, digest
from nvlm.checkpoints.shards import write_index
from nvlm.checkpoints.sidecars import left_out, notes
from nvlm.checkpoints.stored import StoredTensors
from nvlm.checkpoints.writer import ShardWriter

__all__ = ["SHARD_SIZE", "Converted", "Report", "convert"]

SHARD_SIZE = 5_000_000_000
"""Bytes of a file of weights in the target."""

Report = Callable[[str, int, int], None]
"""Told what is being done, and how many bytes of how many are."""


@dataclass(frozen=True)
class Converted:
    """What a conversion made.

    `kept` counts the files of weights that an earlier run had finished; `left_out` names the files of the source that
    have no counterpart; `notes` are sentences for the user.
    """

    tensors: int
    nbytes: int
    shards: int
    kept: int
    left_out: list[str]
    notes: list[str]


def convert(
    source: Path, target: Path, to: str, shard_size: int = SHARD_SIZE, report: Report = lambda *_: None
) -> Converted:
    """Write the checkpoint in `source` to `target` in the other layout.

    Args:
        source: a local folder in one of the two layouts; it is only read.
        target: a folder that is empty or not there yet, or one where the same conversion was interrupted: what was
            finished is then checked and kept.
        to: "nvidia" or "nvlm".
        shard_size: largest size of a file of weights in bytes; a tensor that is larger has one for itself.
        report: called for every tensor.

    Returns:
        What was made. Every tensor has then been read back from `target`, and found to have its name, shape and type,
        and turned back to be what is in `source`, byte for byte.

    Raises:
        ValueError: a folder, a file or a model that cannot be converted.
        OSError: the target cannot be written to; what is finished is kept.
    """
    if to not in LAYOUTS:
        raise ValueError(f"to is {to!r}; there are {' and '.join(map(repr, LAYOUTS))}")
    if shard_size < 1:
        raise ValueError(f"shard_size is {shard_size} bytes; it must be at least 1")
    _check_folders(source, target)
    plan = Plan(source, to, shard_size)
    state = ConversionState.open(target, plan.identity())
    kept = state.check(lambda done, total: report("checking what is there", done, total))
    try:
        _write(plan, target, state, report)
        _read_back(plan, target, state, report)
        for name in sorted(plan.files, key=lambda name: name == "config.json"):
            (target / name).write_bytes(plan.files[name])
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(_full(plan, target, state)) from error
        raise
    state.close()
    return Converted(
        tensors=len(plan.tensors),
        nbytes=plan.nbytes,
        shards=len(plan.shards),
        kept=kept,
        left_out=left_out(source, plan.files),
        notes=notes(source) if to == "nvidia" else [],
    )


def _check_folders(source: Path, target: Path) -> None:
    if not source.is_dir():
        name = str(source) if len(source.parts) == 2 else "OWNER/NAME"
        raise ValueError(
            f"there is no folder {source}; a conversion reads a local one. To fetch a model from the hub first: "
            f"hf download {name} --local-dir {Path(name).name}"
        )
    here, there = source.resolve(), target.resolve()
    if here == there or here in there.parents:
        where = "is the source itself" if here == there else f"is inside of {source}"
        raise ValueError(f"{target} {where}, which is never written to; name another folder")


def _write(plan: Plan, target: Path, state: ConversionState, report: Report) -> None:
    """Write the files of weights that are not there yet, and the index."""
    done = plan.nbytes - _missing(plan, state)
    if shutil.disk_usage(target).free < plan.nbytes - done:
        raise OSError(errno.ENOSPC, "there is less room than will be needed")
    for file, units in plan.shards.items():
        if file in state.finished:
            continue
        with ShardWriter(target / file, plan.shard(file)) as writer:
            for unit in units:
                report("writing", done, plan.nbytes)
                for name, tensor in plan.turn(unit).items():
                    writer.write(name, tensor)
                    done += tensor.nbytes
        state.finish(file, digest(target / file))
    report("writing", plan.nbytes, plan.nbytes)
    write_index(target, [list(plan.shard(file)) for file in plan.shards], plan.nbytes)


def _read_back(plan: Plan, target: Path, state: ConversionState, report: Report) -> None:
    """Hold every tensor of the target against the source.

    Raises:
        ValueError: one differs; its file is then no longer counted as finished.
    """
    found, done = StoredTensors(target), 0
    for file, units in plan.shards.items():
        for unit in units:
            report("reading back", done, plan.nbytes)
            if not _same(plan, unit, found):
                state.forget(file)
                raise ValueError(
                    f"{unit.published} in {target / file} is not what was written there: is the disk failing, or did "
                    "something else write to it, or to the source? The same command writes this file anew"
                )
            done += sum(plan.tensors[name].nbytes for name in plan.made(unit))
    report("reading back", plan.nbytes, plan.nbytes)


def _same(plan: Plan, unit: Unit, found: StoredTensors) -> bool:
    """Are name, shape and type those of the plan, and is what is read, turned back, the source byte for byte?"""
    made = plan.made(unit)
    if any(found.tensors.get(name) != plan.tensors[name] for name in made):
        return False
    back = plan.turn_back(unit, {name: found.read(name) for name in made})
    return all(torch.equal(_bytes(back[name]), _bytes(plan.stored.read(name))) for name in plan.taken(unit))


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.contiguous().reshape(-1).view(torch.uint8)


def _missing(plan: Plan, state: ConversionState) -> int:
    """Bytes of weights that are still to be written."""
    return sum(stored.nbytes for stored in plan.tensors.values() if stored.file not in state.finished)


def _full(plan: Plan, target: Path, state: ConversionState) -> str:
    needed, free = (
        f"{nbytes / 1e9:,.1f} GB" if nbytes >= 1e9 else f"{nbytes / 1e6:,.1f} MB"
        for nbytes in (_missing(plan, state), shutil.disk_usage(target).free)
    )
    return (
        f"the disk of {target} is full: {needed} of weights are still to be written and {free} are free. Make room and "
        f"run the same command again; {len(state.finished)} of {len(plan.shards)} files are finished and kept"
    )
