"""What torchrun starts, `nvlm train` in small: folder of the run, processes that share the model, seconds per batch."""

import os
import sys
import time
from pathlib import Path
from typing import Any

from nvlm.planning.sharding import Layout
from nvlm.training.engine import Engine
from nvlm.training.loop import Interrupted, train
from nvlm.training.ranks import processes
from tests.training import lanes


class Slow(lanes.Lanes):
    """Lanes that take their time."""

    def __init__(self, pause: float) -> None:
        super().__init__("H", lanes.SHOWN)
        self.pause = pause

    def open(self, lane: int) -> lanes.OneLane:
        return SlowLane(self.architecture, self.kinds[lane], lane, self.pause)


class SlowLane(lanes.OneLane):
    """A lane that takes its time."""

    def __init__(self, architecture: str, kind: str, lane: int, pause: float) -> None:
        super().__init__(architecture, kind, lane)
        self.pause = pause

    def __next__(self) -> dict[str, Any]:
        time.sleep(self.pause)
        return super().__next__()


def main(folder: str, fsdp: str, pause: str) -> int:
    """Train until done or asked to stop; 0 in both cases, as a cluster wants it."""
    with processes(timeout=60):
        Path(folder).mkdir(exist_ok=True)
        (Path(folder) / f"pid-{os.environ['RANK']}").write_text(str(os.getpid()))
        try:
            train(
                lanes.STAGE,
                lanes.tiny("H"),
                Slow(float(pause)),
                None,
                Path(folder),
                engine=Engine(layout=Layout(fsdp=int(fsdp))),
                resume=True,
            )
        except Interrupted as stopped:
            print(f"{stopped} [{stopped.signal}]", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
