"""Conversions that were interrupted, and go on to what they would have been."""

import errno
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from nvlm.checkpoints import convert as module
from nvlm.checkpoints.conversion_state import STATE
from nvlm.checkpoints.convert import convert
from nvlm.checkpoints.writer import ShardWriter
from nvlm.inference import load
from tests.checkpoints.checkpoints import files_of

SHARD = 500_000
SHARDS = 5


@pytest.fixture(scope="module")
def whole(published: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Conversions in both directions that nothing interrupted."""
    root = tmp_path_factory.mktemp("whole")
    convert(published, root / "nvlm", "nvlm", SHARD)
    convert(root / "nvlm", root / "nvidia", "nvidia", SHARD)
    return {"nvlm": root / "nvlm", "nvidia": root / "nvidia"}


@pytest.fixture
def source(published: Path, whole: dict[str, Path]) -> Callable[[str], Path]:
    """What to convert, by where to."""
    return lambda to: published if to == "nvlm" else whole["nvlm"]


def stop_at(step: int, how: Callable[[], object], what: str = "writing") -> Callable[[str, int, int], None]:
    """A report that does something at its nth call."""
    left = [step]

    def report(now: str, done: int, total: int) -> None:
        if now == what:
            left[0] -= 1
            if left[0] == 0:
                how()

    return report


def press_ctrl_c() -> None:
    raise KeyboardInterrupt


def finished(folder: Path) -> list[str]:
    return list(json.loads((folder / STATE).read_text())["finished"])


@pytest.mark.parametrize("to", ["nvlm", "nvidia"])
def test_interrupted_again_and_again(
    to: str, source: Callable[[str], Path], whole: dict[str, Path], tmp_path: Path
) -> None:
    """A little later each time, in 86 units; each run keeps what the ones before it finished."""
    kept = runs = 0
    for step in range(7, 100, 9):
        try:
            done = convert(source(to), tmp_path / "out", to, SHARD, stop_at(step, press_ctrl_c))
            break
        except KeyboardInterrupt:
            runs += 1
            assert not (tmp_path / "out" / "config.json").exists()
            assert list((tmp_path / "out").glob("*.part")) == []
            assert len(finished(tmp_path / "out")) >= kept
            kept = len(finished(tmp_path / "out"))
    assert runs > 4 and done.kept == kept > 1
    assert files_of(tmp_path / "out") == files_of(whole[to])


@pytest.mark.parametrize("shard", range(SHARDS))
def test_interrupted_in_every_shard(
    shard: int, source: Callable[[str], Path], whole: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = max(ShardNames(whole["nvlm"]).in_order[shard])
    write = ShardWriter.write

    def write_or_stop(self: ShardWriter, name: str, tensor: object) -> None:
        if name == last:
            raise KeyboardInterrupt
        write(self, name, tensor)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(ShardWriter, "write", write_or_stop)
        with pytest.raises(KeyboardInterrupt):
            convert(source("nvlm"), tmp_path / "out", "nvlm", SHARD)
    assert len(finished(tmp_path / "out")) == shard
    assert convert(source("nvlm"), tmp_path / "out", "nvlm", SHARD).kept == shard
    assert files_of(tmp_path / "out") == files_of(whole["nvlm"])


class ShardNames:
    """Which tensors are in which of a folder's shards."""

    def __init__(self, folder: Path) -> None:
        index = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
        self.in_order = [[name for name in index if index[name] == file] for file in sorted(set(index.values()))]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # from Python 3.12 on
@pytest.mark.parametrize("step", [1, 25, 60, 86])
def test_killed_at_any_moment(step: int, source: Callable[[str], Path], whole: dict[str, Path], tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        try:
            kill = stop_at(step, lambda: os.kill(os.getpid(), signal.SIGKILL))
            convert(source("nvlm"), tmp_path / "out", "nvlm", SHARD, kill)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert (tmp_path / "out" / STATE).exists() and list((tmp_path / "out").glob("*.part"))
    convert(source("nvlm"), tmp_path / "out", "nvlm", SHARD)
    assert files_of(tmp_path / "out") == files_of(whole["nvlm"])


def test_killed_before_the_state_was_in_place(
    source: Callable[[str], Path], whole: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / f"{STATE}.part").write_text("{")
    convert(source("nvlm"), tmp_path / "out", "nvlm", SHARD)
    assert files_of(tmp_path / "out") == files_of(whole["nvlm"])


def test_interrupted_while_it_reads_back(source: Callable[[str], Path], whole: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        convert(source("nvlm"), tmp_path / "out", "nvlm", SHARD, stop_at(40, press_ctrl_c, "reading back"))
    assert not (tmp_path / "out" / "config.json").exists()
    assert convert(source("nvlm"), tmp_path / "out", "nvlm", SHARD).kept == SHARDS
    assert files_of(tmp_path / "out") == files_of(whole["nvlm"])


def interrupted(source: Path, folder: Path) -> Path:
    """A conversion that stopped in its third shard or later."""
    with pytest.raises(KeyboardInterrupt):
        convert(source, folder, "nvlm", SHARD, stop_at(70, press_ctrl_c))
    assert len(finished(folder)) >= 2
    return folder


def test_a_finished_file_that_changed_is_written_anew(
    source: Callable[[str], Path], whole: dict[str, Path], tmp_path: Path
) -> None:
    folder = interrupted(source("nvlm"), tmp_path / "out")
    before = len(finished(folder))
    damaged, gone = (folder / file for file in finished(folder)[:2])
    flip(damaged)
    gone.unlink()
    assert convert(source("nvlm"), folder, "nvlm", SHARD).kept == before - 2
    assert files_of(folder) == files_of(whole["nvlm"])


def flip(path: Path) -> None:
    """Change the last bit of a file."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("to", ["nvlm", "nvidia"])
def test_what_reads_otherwise_than_it_was_written_is_found(
    to: str, source: Callable[[str], Path], whole: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    damage = stop_at(1, lambda: flip(out / "model-00003-of-00005.safetensors"), "reading back")
    with pytest.raises(ValueError, match=r"in .*model-00003-of-00005\.safetensors is not what was written there"):
        convert(source(to), out, to, SHARD, damage)
    assert not (out / "config.json").exists()
    assert convert(source(to), out, to, SHARD).kept == SHARDS - 1
    assert files_of(out) == files_of(whole[to])


def test_an_unfinished_folder_is_no_model(source: Callable[[str], Path], tmp_path: Path) -> None:
    folder = interrupted(source("nvlm"), tmp_path / "out")
    with pytest.raises(FileNotFoundError, match=r"holds no config\.json"):
        load(folder)
    with pytest.raises(ValueError, match=r"holds no config\.json"):
        convert(folder, tmp_path / "back", "nvidia")


def test_another_conversion_does_not_go_on_there(
    source: Callable[[str], Path], whole: dict[str, Path], published: Path, tmp_path: Path
) -> None:
    folder = interrupted(source("nvlm"), tmp_path / "out")
    before = files_of(folder)
    with pytest.raises(ValueError, match="interrupted conversion with another shard_size"):
        convert(published, folder, "nvlm", SHARD + 1)
    with pytest.raises(ValueError, match="interrupted conversion with another source and to "):
        convert(whole["nvlm"], folder, "nvidia", SHARD)
    changed = shutil.copytree(published, tmp_path / "changed")
    flip(changed / "model-00001-of-00005.safetensors")
    with pytest.raises(ValueError, match=r"with another source \(or the source has changed since\)"):
        convert(changed, folder, "nvlm", SHARD)
    assert files_of(folder) == before
    (folder / STATE).write_text('{"source"')
    with pytest.raises(ValueError, match="no readable JSON; delete the folder"):
        convert(published, folder, "nvlm", SHARD)


def test_a_finished_folder_is_not_written_again(source: Callable[[str], Path], tmp_path: Path) -> None:
    convert(source("nvlm"), tmp_path / "out", "nvlm", SHARD)
    with pytest.raises(ValueError, match=r"is not empty .* no interrupted conversion in it"):
        convert(source("nvlm"), tmp_path / "out", "nvlm", SHARD)


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk(
    reason: int, source: Callable[[str], Path], whole: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, left = ShardWriter.write, [60]

    def write_until_full(self: ShardWriter, name: str, tensor: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise OSError(reason, os.strerror(reason))
        write(self, name, tensor)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(ShardWriter, "write", write_until_full)
        with pytest.raises(OSError, match=r"is full: .* MB of weights are still to be written .* files are finished"):
            convert(source("nvlm"), tmp_path / "out", "nvlm", SHARD)
    assert list((tmp_path / "out").glob("*.part")) == []
    assert convert(source("nvlm"), tmp_path / "out", "nvlm", SHARD).kept > 0
    assert files_of(tmp_path / "out") == files_of(whole["nvlm"])


def test_too_little_room_is_seen_before_anything_is_written(
    source: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    with pytest.raises(OSError, match=r"2\.0 MB of weights are still to be written and 1\.0 MB are free\. .* 0 of 5"):
        convert(source("nvlm"), tmp_path / "out", "nvlm", SHARD)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [STATE]


def test_other_trouble_with_the_disk_is_told_as_it_is(
    source: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: ShardWriter, name: str, tensor: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(ShardWriter, "write", fail)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        convert(source("nvlm"), tmp_path / "out", "nvlm", SHARD)
