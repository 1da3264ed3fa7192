"""The processes of a run: how they share the work, and what they tell each other (torchrun starts them)."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from nvlm.planning.sharding import Layout

REPLICAS, FSDP, TENSOR = "dp_replicate", "fsdp", "tp"
"""Dimensions of the mesh, the slowest links first; named as in transformers' meshes."""


class Ranks:
    """This process among those of a run. Alone, it talks to nobody.

    Args:
        layout: how they share the work; None makes every process a replica.
        device: where the model is.

    Raises:
        ValueError: the layout is for another number of processes.
    """

    def __init__(self, layout: Layout | None = None, device: torch.device | None = None) -> None:
        self.several = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
        self.rank, self.size = (dist.get_rank(), dist.get_world_size()) if self.several else (0, 1)
        self.layout = layout or Layout(replicas=self.size)
        if self.layout.gpus != self.size:
            raise ValueError(
                f"the layout {self.layout} is for {self.layout.gpus} processes, but {self.size} run; start them with "
                f"torchrun --nproc-per-node {self.layout.gpus}"
            )
        self.device = device or torch.device("cpu")

    @property
    def first(self) -> bool:
        """Whether this is the process that writes what is written once."""
        return self.rank == 0

    @property
    def data_rank(self) -> int:
        """Which of the ``layout.ranks`` shares of the batches this process reads."""
        return self.rank // self.layout.tensor

    @property
    def counts(self) -> bool:
        """Whether this process speaks for its share of the batches: the first of its tensor-parallel group."""
        return self.rank % self.layout.tensor == 0

    @cached_property
    def mesh(self) -> DeviceMesh:
        """The processes as replicas · fsdp · tensor."""
        shape = (self.layout.replicas, self.layout.fsdp, self.layout.tensor)
        return init_device_mesh(self.device.type, shape, mesh_dim_names=(REPLICAS, FSDP, TENSOR))

    def total(self, values: list[float]) -> list[float]:
        """Sums over all shares of the batches."""
        if not self.several:
            return values
        own = values if self.counts else [0.0] * len(values)
        return self._reduced(own, dist.ReduceOp.SUM)

    def largest(self, values: list[float]) -> list[float]:
        """The largest of every value over all processes."""
        return self._reduced(values, dist.ReduceOp.MAX) if self.several else values

    def gather(self, value: Any) -> list[Any]:
        """What every share of the batches has, on the first process; nothing elsewhere."""
        if not self.several:
            return [value]
        found: list[Any] | None = [None] * self.size if self.first else None
        dist.gather_object(value if self.counts else None, found)
        return [each for each in found or [] if each is not None]

    def same(self, value: Any) -> Any:
        """The first process's value, everywhere."""
        if not self.several:
            return value
        values = [value]
        dist.broadcast_object_list(values)
        return values[0]

    def wait(self) -> None:
        """Until all processes are here."""
        if self.several:
            dist.barrier()

    def _reduced(self, values: list[float], how: dist.ReduceOp.RedOpType) -> list[float]:
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(tensor, how)
        found: list[float] = tensor.tolist()
        return found

    def sum_over(self, values: Tensor, dimension: str) -> Tensor:
        """Sums over this process's group along one dimension of the mesh, in place."""
        if self.several:
            dist.all_reduce(values, group=self.mesh.get_group(dimension))
        return values


@contextmanager
def processes(timeout: float = 1800.0) -> Iterator[None]:
    """Join the processes that torchrun started, for as long as the run lasts; without torchrun, nothing happens.

    Args:
        timeout: seconds after which a process that waits for another gives up.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, timeout=timedelta(seconds=timeout))
    try:
        yield
    finally:
        dist.destroy_process_group()
