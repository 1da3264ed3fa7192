import json
import re
from contextlib import closing
from pathlib import Path

from nvlm.training.progress import Progress


def rows(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_the_line_names_stage_step_loss_rate_and_time_left(tmp_path):
    with closing(Progress("sft", steps=100, folder=tmp_path, start=0)) as progress:
        for step in range(10):
            progress.update(step, 8, {"loss": 2.0})
        progress._began = 0.0
        assert progress.line(9, 20.0) == "sft 10/100  loss 2.000  4.0 samples/s  0:03:00 left"


def test_rate_and_time_left_count_from_the_step_that_was_resumed(tmp_path):
    with closing(Progress("sft", steps=100, folder=tmp_path, start=90)) as progress:
        progress.update(90, 8, {"loss": 1.0})
        progress._began = 0.0
        assert progress.line(90, 400.0) == "sft 91/100  loss 1.000  0.0 samples/s  1:00:00 left"


def test_the_shown_loss_is_smoothed(tmp_path):
    with closing(Progress("sft", steps=100, folder=tmp_path, start=0)) as progress:
        progress.update(0, 1, {"loss": 2.0})
        progress.update(1, 1, {"loss": 1.0})
        assert "loss 1.950 " in progress.line(1, progress._began + 1)


def test_the_log_holds_every_step_and_score(tmp_path):
    with closing(Progress("sft", steps=2, folder=tmp_path, start=0)) as progress:
        progress.update(0, 4, {"loss": 2.5, "norm": 0.5})
        progress.scores(0, {"word": 0.25})
        progress.update(1, 4, {"loss": 2.0, "norm": 0.25})
    assert rows(tmp_path) == [
        {"step": 0, "loss": 2.5, "samples": 4, "norm": 0.5},
        {"step": 0, "scores": {"word": 0.25}},
        {"step": 1, "loss": 2.0, "samples": 4, "norm": 0.25},
    ]


def test_steps_that_are_done_again_and_a_torn_row_leave_the_log(tmp_path):
    written = "".join(json.dumps({"step": step, "loss": 1.0}) + "\n" for step in range(5))
    (tmp_path / "log.jsonl").write_text(written + '{"step": 1, "lo')
    with closing(Progress("sft", steps=9, folder=tmp_path, start=3)) as progress:
        progress.update(3, 1, {"loss": 0.5})
    assert [row["step"] for row in rows(tmp_path)] == [0, 1, 2, 3]
    assert rows(tmp_path)[-1]["loss"] == 0.5


def test_flush_brings_the_log_to_disk(tmp_path):
    with closing(Progress("sft", steps=9, folder=tmp_path, start=0)) as progress:
        progress.update(0, 1, {"loss": 1.0})
        progress.flush()
        assert len(rows(tmp_path)) == 1


def test_without_a_terminal_only_the_last_step_is_said_at_once(tmp_path, capsys):
    with closing(Progress("sft", steps=3, folder=tmp_path, start=0)) as progress:
        for step in range(3):
            progress.update(step, 1, {"loss": 1.0})
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert re.fullmatch(r"sft 3/3  loss 1\.000  [\d.]+ samples/s  0:00:00 left\n", said)


def test_on_a_terminal_the_line_is_written_over_and_ended(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with closing(Progress("sft", steps=3, folder=tmp_path, start=0)) as progress:
        progress._shown -= 1
        progress.update(0, 1, {"loss": 1.0})
    said = capsys.readouterr().err
    assert said.startswith("\r\x1b[2Ksft 1/3  loss 1.000")
    assert said.endswith("left\n")


def test_scores_are_said(tmp_path, capsys):
    with closing(Progress("sft", steps=3, folder=tmp_path, start=0)) as progress:
        progress.scores(1, {"word": 0.5, "line": 0.25})
    assert capsys.readouterr().err == "sft 2/3  word 0.500  line 0.250\n"
