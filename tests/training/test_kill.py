"""What a run survives: processes that are killed at any moment, and clusters that ask for their machines back."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter

from nvlm.planning.sharding import Layout
from nvlm.training import checkpointing, loop
from tests.training import lanes
from tests.training.together import killed, together

ROOT = Path(__file__).resolve().parents[2]
STAGE = replace(lanes.STAGE, steps=6)
TOLERANCE = 1e-6
WRITING = 0.3
"""Seconds that a save takes longer, so that processes also die while they save."""


def saving_every_step(folder: Path, background: bool) -> dict[str, float]:
    """Train, slowly saving after every step; goes on where an earlier run died."""
    train, write_data = loop.train, HuggingFaceStorageWriter.write_data

    def slowly(*arguments: Any) -> Any:
        time.sleep(WRITING / 2)
        found = write_data(*arguments)
        time.sleep(WRITING / 2)
        return found

    HuggingFaceStorageWriter.write_data = slowly
    lanes.train = lambda *arguments, **options: train(*arguments, **options, save_every=0.0)
    return lanes.run(folder, "H", Layout(fsdp=2), stage=STAGE, resume=True, background=background)


def saved(folder: Path) -> int:
    """Steps of the newest checkpoint."""
    found = checkpointing.steps(folder)
    return int(found[-1].name.removeprefix("step-")) if found else 0


def test_a_run_that_is_killed_at_any_moment_loses_no_step_that_was_saved(tmp_path):
    """Saves in the foreground and in the background take turns; a run may go on with the other one."""
    one = together(1, lanes.run, tmp_path, tmp_path / "one", "H", None, lanes.SHOWN, STAGE)[0]
    folder, drawn = tmp_path / "run", random.Random(0)

    def saving() -> bool:
        """The next step is being saved, by this run: what an earlier one left unfinished is older."""
        begun = folder / f"step-{saved(folder) + 1:07d}.part" / "lanes" / "lane-00003.json"
        return begun.exists() and begun.stat().st_mtime > started

    def saved_two() -> bool:
        return saved(folder) >= 2

    moments: list[tuple[Callable[[], bool], bool, int]] = [
        (saving, False, 0),
        (saving, True, 0),
        (saved_two, True, 2),
        (saving, False, 2),
        (saving, True, 2),
    ]
    for moment, background, least in moments:
        before, started = saved(folder), time.time()
        killed(2, saving_every_step, tmp_path, folder, background, when=moment, after=drawn.uniform(0, WRITING))
        assert saved(folder) >= max(before, least)
    assert saved(folder) < STAGE.steps
    found = together(2, saving_every_step, tmp_path, folder, False)[0]
    assert lanes.losses(folder) == pytest.approx(lanes.losses(tmp_path / "one"), rel=0, abs=TOLERANCE)
    assert found == pytest.approx(one, rel=0, abs=TOLERANCE)
    assert not list(folder.glob("*.part"))


def start(folder: Path, pause: float) -> subprocess.Popen[str]:
    """Two processes under torchrun, as a user starts them."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [*torchrun, "-m", "tests.training.worker", str(folder), "2", str(pause)]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def pids(folder: Path) -> list[int]:
    """The processes that torchrun started, once all are there."""
    end = time.monotonic() + 120
    while len(found := sorted(folder.glob("pid-*"))) < 2 or not (folder / "log.jsonl").exists():
        assert time.monotonic() < end, "the processes did not begin"
        time.sleep(0.1)
    return [int(path.read_text()) for path in found]


@pytest.mark.slow
@pytest.mark.parametrize("whom", ["torchrun", "one process"])
def test_under_torchrun_sigterm_saves_and_ends_well(tmp_path, whom):
    """torchrun passes the signal on, and says itself that it was ended by one; a process that gets it takes the others
    with it, and torchrun ends with 0."""
    together(1, lanes.run, tmp_path, tmp_path / "one", "H")
    folder = tmp_path / "run"
    with start(folder, pause=1.0) as torchrun:
        numbers = pids(folder)
        os.kill(torchrun.pid if whom == "torchrun" else numbers[1], signal.SIGTERM)
        said, _ = torchrun.communicate(timeout=60)
    assert said.count("and saved; continue with --resume [15]") == 2
    assert (torchrun.returncode == 0) == (whom == "one process")
    stopped = saved(folder)
    assert 0 < stopped < lanes.STAGE.steps
    with start(folder, pause=0.0) as torchrun:
        torchrun.communicate(timeout=120)
    assert torchrun.returncode == 0
    assert lanes.losses(folder) == pytest.approx(lanes.losses(tmp_path / "one"), rel=0, abs=TOLERANCE)


@pytest.mark.slow
def test_torchrun_ends_all_when_one_process_is_killed_and_the_run_goes_on(tmp_path):
    together(1, lanes.run, tmp_path, tmp_path / "one", "H")
    folder = tmp_path / "run"
    with start(folder, pause=1.0) as torchrun:
        os.kill(pids(folder)[1], signal.SIGKILL)
        torchrun.communicate(timeout=60)
    assert torchrun.returncode != 0
    with start(folder, pause=0.0) as torchrun:
        torchrun.communicate(timeout=120)
    assert torchrun.returncode == 0
    assert lanes.losses(folder) == pytest.approx(lanes.losses(tmp_path / "one"), rel=0, abs=TOLERANCE)
