"""What is shown of a run's log: in the terminal, as a picture, in TensorBoard."""

import doctest
import io
import json
import os
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from nvlm.cli.main import main
from nvlm.training import plot, watch
from nvlm.training.board import Board
from nvlm.training.curves import curves, log_of, rows
from nvlm.training.progress import Progress

ROW = {
    "loss": 2.0,
    "samples": 8,
    "norm": 1.5,
    "norms": {"connector": 0.5},
    "gates": {"3": 0.25},
    "sources": {"chartqa": {"samples": 8, "loss": 1.75}, "coco": {"samples": 0, "dropped": 1}},
    "seconds": 4.0,
    "fill": 0.97,
}


def write(folder: Path, steps: int, **values: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    made = [{"step": step, **ROW, "loss": 2.0 - step / 10, **values} for step in range(steps)]
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made))
    return folder


def test_every_number_of_a_row_is_a_curve(tmp_path):
    found = curves(rows(log_of(write(tmp_path, 2))))
    assert found["loss"] == [(0, 2.0), (1, 1.9)]
    assert {title: curve[0][1] for title, curve in found.items()} == {
        "loss": 2.0,
        "gradient norm": 1.5,
        "samples/s": 2.0,
        "share of places filled": 0.97,
        "gradient norm, connector": 0.5,
        "tanh(gate) of layer, 3": 0.25,
        "loss, chartqa": 1.75,
    }


def test_what_is_not_finite_and_what_is_being_written_is_left_out(tmp_path):
    log = write(tmp_path, 2, norm=float("inf")) / "log.jsonl"
    log.write_text(log.read_text() + '{"step": 2, "lo')
    found = curves(rows(log))
    assert len(found["loss"]) == 2 and "gradient norm" not in found


def test_the_stage_that_was_written_last_is_shown(tmp_path):
    write(tmp_path / "sft", 1)
    write(tmp_path / "pretrain", 1)
    os.utime(tmp_path / "pretrain" / "log.jsonl", (1, 1))
    assert log_of(tmp_path) == tmp_path / "sft" / "log.jsonl"
    assert log_of(tmp_path / "pretrain") == tmp_path / "pretrain" / "log.jsonl"


def test_the_examples_in_docstrings_hold():
    assert doctest.testmod(watch).failed == 0


@pytest.mark.parametrize("height", [10, 24, 60])
def test_the_curves_fit_on_the_terminal(tmp_path, height):
    console = Console(width=40, height=height, record=True, file=io.StringIO())
    lines = watch._lines(height)
    assert height < 15 or 1 + watch.MOST * (1 + lines) <= height
    console.print(watch.picture(write(tmp_path, 100), 40, lines))
    shown = console.export_text().splitlines()
    assert shown[0].startswith("step 100  /") and len(shown) == 1 + watch.MOST * (1 + lines)
    assert any(line.startswith("loss  -7.9 (from 2;") for line in shown)
    assert all(len(line) <= 40 for line in shown[1:] if set(line) & set("▁█"))


def test_watching_needs_a_run_and_no_recipe(tmp_path, capsys):
    assert main(["train", "--watch", str(tmp_path)]) == 2
    assert f"neither {tmp_path} nor a folder in it holds a log.jsonl" in capsys.readouterr().err
    assert main(["train", "nano", "--watch", str(tmp_path)]) == 2
    assert "leave out the recipe 'nano'" in capsys.readouterr().err
    assert main(["train"]) == 2
    assert "name a recipe" in capsys.readouterr().err


def test_without_a_terminal_it_is_drawn_once(tmp_path, capsys):
    assert main(["train", "--watch", str(write(tmp_path, 3))]) == 0
    assert "step 3" in (shown := capsys.readouterr().out) and "loss  1.8" in shown and "█" in shown
    (tmp_path / "log.jsonl").write_text("")
    assert main(["train", "--watch", str(tmp_path)]) == 0
    assert "no step yet" in capsys.readouterr().out


def test_on_a_terminal_it_follows_the_run_until_ctrl_c(tmp_path, capsys, monkeypatch):
    write(tmp_path, 1)

    def wait(seconds: float) -> None:
        if len((tmp_path / "log.jsonl").read_text().splitlines()) == 5:
            raise KeyboardInterrupt
        write(tmp_path, 5)

    monkeypatch.setattr(watch.time, "sleep", wait)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert main(["train", "--watch", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "step 1" in shown and "step 5" in shown


def test_a_run_gets_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    assert plot.draw(write(tmp_path, 5)) == tmp_path / "curves.png"
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size == (1386, 528)  # five kinds of curves, in two lines
    (tmp_path / "log.jsonl").write_text("")
    assert plot.draw(tmp_path) is None


def test_without_matplotlib_it_is_said_once_which_extra_draws(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(plot, "find_spec", lambda name: None)
    plot._say_once.cache_clear()
    assert plot.draw(write(tmp_path, 1)) is None and plot.draw(tmp_path) is None
    assert capsys.readouterr().err.count("pip install 'nvlm[plots]'") == 1


def test_tensorboard_is_an_extra(tmp_path, monkeypatch):
    monkeypatch.setattr("nvlm.training.board.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"tensorboard is not installed \(pip install 'nvlm\[tensorboard\]'\)"):
        Board(tmp_path, 0)


def test_tensorboard_gets_every_curve(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from nvlm.training.engine import Engine

    progress = Progress("sft", 2, tmp_path, 0, Engine(tensorboard=True))
    for step in range(2):
        progress.update(step, 8, ROW)
    progress.close()
    written = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    tags = written.Tags()["scalars"]
    assert {"loss", "loss/chartqa", "gradient norm/connector", "samples/s"} <= set(tags)
    assert [(event.step, event.value) for event in written.Scalars("loss/chartqa")] == [(0, 1.75), (1, 1.75)]
