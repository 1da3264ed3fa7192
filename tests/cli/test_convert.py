"""`nvlm convert` and `nvlm make-checkpoint`: what is printed, where, and with which exit code."""

import io
import sys
from pathlib import Path

import pytest

from nvlm.checkpoints import convert as module
from nvlm.cli.convert import Line, _size
from nvlm.cli.main import main

MAKE = ["make-checkpoint", "--like", "nvidia/NVLM-D-72B", "--small"]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "small"
    assert main([*MAKE, str(folder)]) == 0
    return folder


def test_make_checkpoint(tmp_path: Path, small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*MAKE, str(tmp_path / "one"), "--seed", "7"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"{tmp_path / 'one'}: 14 files, 2.2 MB, random weights in the layout of nvidia/NVLM-D-72B")
    assert err == ""
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == sorted(path.name for path in small.iterdir())
    assert main([*MAKE, str(tmp_path / "one")]) == 2
    assert "is not an empty folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["make-checkpoint", "out"], "the following arguments are required: --like, --small"),
        (["make-checkpoint", "out", "--like", "other", "--small"], "invalid choice: 'other'"),
        (["convert", "a", "b"], "the following arguments are required: --to"),
        (["convert", "a", "b", "--to", "hf"], "invalid choice: 'hf'"),
        (["convert", "a", "b", "--to", "nvlm", "--shard-size", "big"], "'big' is no size; write it as 500MB or 5GB"),
        (["convert", "a", "b", "--to", "nvlm", "--shard-size", "0"], "'0' is no size"),
    ],
)
def test_arguments_that_are_wrong(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "size"), [("5GB", 5 * 10**9), ("500 mb", 5 * 10**8), ("1.5k", 1500), ("42", 42), ("2T", 2 * 10**12)]
)
def test_sizes(text: str, size: int) -> None:
    assert _size(text) == size


@pytest.mark.parametrize("command", ["convert", "make-checkpoint"])
def test_help_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert f"examples:\n  nvlm {command} " in capsys.readouterr().out


def test_there_and_back(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own, back = tmp_path / "own", tmp_path / "back"
    assert main(["convert", str(small), str(own), "--to", "nvlm", "--shard-size", "1MB"]) == 0
    out, err = capsys.readouterr()
    assert out == f"{own}: 92 tensors, 2.0 MB in 2 files; read back and found equal\n"
    assert err == "writing  2.0 MB of 2.0 MB\nreading back  2.0 MB of 2.0 MB\n"
    (own / "notes.txt").write_text("mine")
    assert main(["convert", str(own), str(back), "--to", "nvidia"]) == 0
    assert capsys.readouterr().out == (
        f"{back}: 86 tensors, 2.2 MB in 1 file; read back and found equal\nnot taken over: notes.txt\n"
    )


def test_a_shipped_model_by_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "Nano-D", str(tmp_path / "out"), "--to", "nvidia"]) == 0
    assert capsys.readouterr().out == (
        f"{tmp_path / 'out'}: 110 tensors, 8.4 MB in 1 file; read back and found equal\n"
        "not taken over: README.md, scores.json\n"
    )
    assert main(["convert", "nano-h", str(tmp_path / "h"), "--to", "nvidia"]) == 2
    assert capsys.readouterr().err == "nvlm: this is an NVLM-H, but NVIDIA's layout, and vLLM, know NVLM-D only\n"


def test_errors_are_one_line(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "nvidia/NVLM-D-72B", str(tmp_path / "out"), "--to", "nvlm"]) == 2
    assert capsys.readouterr().err == (
        "nvlm: there is no folder nvidia/NVLM-D-72B; a conversion reads a local one. To fetch a model from the hub "
        "first: hf download nvidia/NVLM-D-72B --local-dir NVLM-D-72B\n"
    )
    assert main(["convert", str(small), str(small), "--to", "nvlm"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_interrupted_and_run_again(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    digest, shards = module.digest, [0]

    def stop_after_two(path: Path) -> str:
        shards[0] += 1
        if shards[0] == 3:
            raise KeyboardInterrupt
        return digest(path)

    command = ["convert", str(small), str(tmp_path / "own"), "--to", "nvlm", "--shard-size", "400KB"]
    with monkeypatch.context() as patch:
        patch.setattr(module, "digest", stop_after_two)
        assert main(command) == 130
    assert "interrupted; what is finished is kept, and the same command goes on from there" in capsys.readouterr().err
    assert main(command) == 0
    out, err = capsys.readouterr()
    assert "in 6 files, 2 of them from before; read back and found equal" in out
    assert err.startswith("checking what is there ")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_the_line_is_written_over(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, now = Terminal(), [100.0]
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setattr("nvlm.cli.convert.time.monotonic", lambda: now[0])
    line = Line()
    for seconds, done in ((0.0, 0), (0.1, 1), (60.0, 3), (240.0, 12)):
        now[0] = 100.0 + seconds
        line.show("writing", done * 10**9, 12 * 10**9)
    line.close()
    assert shown.getvalue().split("\r\x1b[2K") == [
        "",
        "writing  0.0 MB of 12.0 GB",
        "writing  3.0 GB of 12.0 GB  50 MB/s  0:03:00 left",
        "writing  12.0 GB of 12.0 GB\n",
    ]


def test_elsewhere_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, now = io.StringIO(), [100.0]
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setattr("nvlm.cli.convert.time.monotonic", lambda: now[0])
    line = Line()
    for second in range(0, 100, 10):
        now[0] = 100.0 + second
        line.show("reading back", second * 10**8, 90 * 10**8)
    line.close()
    assert [text.split("  ")[1] for text in shown.getvalue().splitlines()] == [
        "3.0 GB of 9.0 GB", "6.0 GB of 9.0 GB", "9.0 GB of 9.0 GB",
    ]  # fmt: skip
