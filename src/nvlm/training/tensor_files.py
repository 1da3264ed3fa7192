"""What learns, and its optimisers' states, as files that any number of processes in any layout can read.

torch's distributed checkpointing writes and reads them, as safetensors, a file per process.
"""

import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import async_save, save
from torch.distributed.tensor import DTensor, Replicate, Shard
from torch.distributed.tensor.placement_types import Placement
from torch.optim import Optimizer

from nvlm.training.gradients import learning
from nvlm.training.ranks import Ranks


def state(model: nn.Module, optimizers: dict[str, Optimizer]) -> dict[str, Tensor]:
    """``model.NAME`` of every parameter that learns, and ``OPTIMISER.NAME.KEY`` of its states."""
    named = learning(model)
    names = {id(parameter): name for name, parameter in named}
    tensors = {f"model.{name}": parameter.detach() for name, parameter in named}
    for kind, optimizer in optimizers.items():
        for parameter, values in optimizer.state.items():
            for key, value in values.items():
                tensors[f"{kind}.{names[id(parameter)]}.{key}"] = torch.as_tensor(value)
    return tensors


def write(folder: Path, tensors: Mapping[str, Tensor], ranks: Ranks) -> None:
    """Write tensors; all processes together."""
    _write(folder, {name: _rectangular(tensor) for name, tensor in tensors.items()}, alone=not ranks.several)


def write_behind(folder: Path, tensors: Mapping[str, Tensor], group: Any) -> Future[Any]:
    """Copy tensors, and write the copies while others work; all processes together.

    Args:
        group: of all processes, for this alone: its messages must not mix with the others'. None without others.
    """
    if group is None:
        copies = {name: tensor.to("cpu", copy=True) for name, tensor in tensors.items()}
        pool = ThreadPoolExecutor(1)
        written = pool.submit(_write, folder, copies, alone=True)
        pool.shutdown(wait=False)
        return written
    plain = {name: _rectangular(tensor) for name, tensor in tensors.items()}
    future = async_save(plain, storage_writer=_writer(folder), process_group=group)
    assert isinstance(future, Future)
    return future


def _write(folder: Path, tensors: dict[str, Tensor], alone: bool) -> None:
    with _alone_is_meant():
        save(tensors, storage_writer=_writer(folder), no_dist=alone)


def _writer(folder: Path) -> HuggingFaceStorageWriter:
    return HuggingFaceStorageWriter(str(folder), save_distributed=True)


def restore(folder: Path, model: nn.Module, optimizers: dict[str, Optimizer]) -> None:
    """Read what `state` gave back into a model and its optimisers; all processes together.

    Raises:
        ValueError: the files are about other parameters.
    """
    reader = HuggingFaceStorageReader(str(folder))
    found: dict[str, Any] = dict(reader.read_metadata().state_dict_metadata)
    named = learning(model)
    saved = {name.removeprefix("model.") for name in found if name.startswith("model.")}
    if odd := sorted(saved ^ {name for name, _ in named}):
        raise ValueError(
            f"the checkpoint holds {len(saved)} tensors, the stage trains {len(named)}; they differ in {odd[:3]}"
        )
    wanted = {f"model.{name}": parameter.detach() for name, parameter in named}
    names = {id(parameter): name for name, parameter in named}
    for kind, optimizer in optimizers.items():
        for parameter in [each for group in optimizer.param_groups for each in group["params"]]:
            prefix = f"{kind}.{names[id(parameter)]}."
            own = {
                key.removeprefix(prefix): _room(about, parameter)
                for key, about in found.items()
                if key.startswith(prefix)
            }
            if own:
                optimizer.state[parameter] = own
                wanted |= {prefix + key: value for key, value in own.items()}
    _read(reader, wanted)


def _read(reader: HuggingFaceStorageReader, wanted: dict[str, Tensor]) -> None:
    """Fill tensors from files, in place."""
    plain = {name: _rectangular(tensor) for name, tensor in wanted.items()}
    with _alone_is_meant():
        load(plain, storage_reader=reader, no_dist=not torch.distributed.is_initialized())
    for name, tensor in wanted.items():
        filled = plain[name]
        if isinstance(filled, DTensor) and isinstance(tensor, DTensor):
            filled = filled.redistribute(placements=tensor.placements)
        if filled is not tensor:
            tensor.copy_(filled)


def _room(about: Any, parameter: Tensor) -> Tensor:
    """Where a state goes: spread as its parameter where it has that shape, else on every process."""
    kind = about.properties.dtype
    if about.size == parameter.shape:
        return torch.zeros_like(parameter, dtype=kind, requires_grad=False)
    return torch.zeros(about.size, dtype=kind, device=parameter.device)


def _rectangular(tensor: Tensor) -> Tensor:
    """The tensor, in one rectangle per process.

    FSDP after tensor parallelism deals the rows that a process has left out in strips, for which there is no file
    format; columns, or the whole of a vector, take their place.
    """
    if not isinstance(tensor, DTensor):
        return tensor.contiguous()
    plain = tuple(
        each if each.is_shard() or each.is_replicate() else _other(each, tensor) for each in tensor.placements
    )
    return tensor if plain == tuple(tensor.placements) else tensor.redistribute(placements=plain)


def _other(strips: Any, tensor: Tensor) -> Placement:
    return Shard(1 - strips.dim) if tensor.ndim == 2 else Replicate()


@contextmanager
def _alone_is_meant() -> Iterator[None]:
    """Without a process group torch warns that it takes one process to be meant; it is."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled", category=UserWarning)
        yield
