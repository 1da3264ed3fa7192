"""Checkpoints of one process: safetensors and JSON, written beside and then renamed, the last ones kept."""

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

KEPT = 2


@dataclass(frozen=True)
class Checkpoint:
    """Where a run stands after ``step`` steps."""

    step: int
    tensors: dict[str, Tensor]
    numbers: dict[str, Any]


def save(folder: Path, step: int, model: nn.Module, optimizers: dict[str, Optimizer], numbers: dict[str, Any]) -> Path:
    """Write ``folder/step-…``: complete or not there at all, whenever the process dies."""
    target = folder / f"step-{step:07d}"
    beside = folder / f"{target.name}.part"
    for unfinished in folder.glob("step-*.part"):
        shutil.rmtree(unfinished)
    beside.mkdir(parents=True)
    save_file(_tensors(model, optimizers), beside / "state.safetensors")
    (beside / "state.json").write_text(json.dumps({"step": step, **numbers}, indent=1), encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    beside.rename(target)
    for old in [path for path in steps(folder) if path.name <= target.name][:-KEPT]:
        shutil.rmtree(old)
    return target


def steps(folder: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    return sorted(path for path in folder.glob("step-*") if path.suffix != ".part")


def latest(folder: Path) -> Checkpoint | None:
    """The newest checkpoint that can be read, or ``None``; a damaged one is passed over loudly."""
    found = steps(folder)
    for path in reversed(found):
        try:
            numbers = json.loads((path / "state.json").read_text(encoding="utf-8"))
            return Checkpoint(numbers.pop("step"), load_file(path / "state.safetensors"), numbers)
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            print(f"checkpoint {path} cannot be read ({error}); trying the one before", file=sys.stderr)
    if found:
        print(f"no checkpoint in {folder} can be read: the run starts again from its first step", file=sys.stderr)
    return None


def restore(checkpoint: Checkpoint, model: nn.Module, optimizers: dict[str, Optimizer]) -> None:
    """Put a checkpoint back into the learning parameters, their optimisers and torch's random generator.

    Raises:
        ValueError: the checkpoint was written for other parameters.
    """
    learning = _learning(model)
    saved = {name.removeprefix("model.") for name in checkpoint.tensors if name.startswith("model.")}
    if saved != set(learning):
        odd = sorted(saved ^ set(learning))
        raise ValueError(
            f"the checkpoint holds {len(saved)} tensors, the stage trains {len(learning)}; they differ in {odd[:3]}"
        )
    names = {id(parameter): name for name, parameter in learning.items()}
    with torch.no_grad():
        for name, parameter in learning.items():
            parameter.copy_(checkpoint.tensors[f"model.{name}"])
    for kind, optimizer in optimizers.items():
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                prefix = f"{kind}.{names[id(parameter)]}."
                state = {
                    key.removeprefix(prefix): value
                    for key, value in checkpoint.tensors.items()
                    if key.startswith(prefix)
                }
                if state:
                    optimizer.state[parameter] = state
    torch.set_rng_state(checkpoint.tensors["rng"])


def _learning(model: nn.Module) -> dict[str, nn.Parameter]:
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def _tensors(model: nn.Module, optimizers: dict[str, Optimizer]) -> dict[str, Tensor]:
    learning = _learning(model)
    names = {id(parameter): name for name, parameter in learning.items()}
    tensors = {f"model.{name}": parameter.detach().contiguous() for name, parameter in learning.items()}
    for kind, optimizer in optimizers.items():
        for parameter, state in optimizer.state.items():
            for key, value in state.items():
                tensors[f"{kind}.{names[id(parameter)]}.{key}"] = torch.as_tensor(value).contiguous()
    return tensors | {"rng": torch.get_rng_state()}
