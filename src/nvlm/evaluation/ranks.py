"""Which of how many processes this is, under torchrun or alone."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True)
class Ranks:
    """This process's number, how many there are, its number on this machine, and how it waits for the others."""

    rank: int = 0
    count: int = 1
    local: int = 0
    wait: Callable[[], None] = field(default=lambda: None)


ALONE = Ranks()
PATIENCE = timedelta(days=7)
"""One process may be at its questions for long while the others wait."""


@contextmanager
def joined() -> Iterator[Ranks]:
    """Join the processes that torchrun started; nothing to join where it did not.

    They only wait for each other, over gloo: the answers go through files.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield ALONE
        return
    from torch import distributed

    distributed.init_process_group("gloo", timeout=PATIENCE)
    try:
        local = int(os.environ.get("LOCAL_RANK", "0"))
        yield Ranks(distributed.get_rank(), count, local, lambda: distributed.barrier())
    finally:
        distributed.destroy_process_group()
