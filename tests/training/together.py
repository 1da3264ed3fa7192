"""Several processes for one test: forked from a server that has imported everything, talking over gloo."""

import json
import multiprocessing
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from nvlm.training import loop

HEAVY = [
    "torch.distributed.tensor",
    "transformers.models.qwen2.modeling_qwen2",
    "nvlm.training.loop",
    "tests.training.lanes",
]
LIMIT = 300.0
"""Seconds after which processes that hang are ended."""


def together(count: int, function: Callable[..., Any], folder: Path, *arguments: Any) -> list[Any]:
    """Run ``function(*arguments)`` in ``count`` processes of one group; what each returned (JSON), by rank.

    Args:
        folder: for what the processes tell each other and this one.

    Raises:
        AssertionError: a process failed, with its traceback, or they did not come to an end.
    """
    group, started = _start(count, function, folder, arguments)
    end = time.monotonic() + LIMIT
    while any(process.is_alive() for process in started) and time.monotonic() < end:
        if any(process.exitcode for process in started):
            end = min(end, time.monotonic() + 2)
        time.sleep(0.05)
    hanging = [rank for rank, process in enumerate(started) if process.is_alive()]
    _kill(started)
    failed = [path.read_text() for path in sorted(folder.glob(f"{group.name}.*.failed"))]
    assert not failed, "\n".join(failed)
    assert not hanging, f"the processes {hanging} of {count} did not end"
    return [json.loads((folder / f"{group.name}.{rank}.json").read_text()) for rank in range(count)]


def alone(function: Callable[..., Any], folder: Path, *arguments: Any) -> BaseProcess:
    """Start ``function(*arguments)`` in one process, and leave it to the caller."""
    return _start(1, function, folder, arguments)[1][0]


def killed(
    count: int, function: Callable[..., Any], folder: Path, *arguments: Any, when: Callable[[], bool], after: float
) -> None:
    """As `together`, but all processes are killed so many seconds ``after`` something happened.

    Raises:
        AssertionError: it did not happen, or they ended before.
    """
    _, started = _start(count, function, folder, arguments)
    end = time.monotonic() + LIMIT
    while not when():
        assert time.monotonic() < end, "what was waited for did not happen"
        assert all(process.is_alive() for process in started), "a process ended before it was killed"
        time.sleep(0.01)
    time.sleep(after)
    _kill(started)


def _start(
    count: int, function: Callable[..., Any], folder: Path, arguments: tuple[Any, ...]
) -> tuple[Path, list[BaseProcess]]:
    folder.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(HEAVY)
    group = folder / f"group-{time.monotonic_ns()}"
    started = [
        context.Process(target=_one, args=(rank, count, group, function, arguments), daemon=True)
        for rank in range(count)
    ]
    for process in started:
        process.start()
    return group, started


def _kill(started: list[BaseProcess]) -> None:
    for process in started:
        process.kill()
        process.join()


def _one(rank: int, count: int, group: Path, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    loop.draw = lambda folder: None
    try:
        if count > 1:
            dist.init_process_group(
                "gloo", init_method=f"file://{group}", rank=rank, world_size=count, timeout=timedelta(seconds=LIMIT)
            )
        found = function(*arguments)
        Path(f"{group}.{rank}.json").write_text(json.dumps(found))
        if dist.is_initialized():
            dist.destroy_process_group()
    except BaseException:
        Path(f"{group}.{rank}.failed").write_text(f"process {rank}:\n{traceback.format_exc()}")
        raise
