"""`nvlm data list`, `prepare` and `check`, as somebody at a terminal uses them."""

import json
from pathlib import Path

import pytest

from nvlm.cli.main import main
from nvlm.data import prepare as preparing
from tests.data.builders import TEXT
from tests.data.sources.published import PUBLISHED, put


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with ChartQA's and GSM8K's files."""
    PUBLISHED["chartqa"](tmp_path / "ChartQA")
    PUBLISHED["gsm8k_rendered"](tmp_path / "gsm8k")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_prepare_says_what_it_made_and_a_second_run_that_it_is_there(here, capsys):
    assert main(["data", "prepare", "chartqa", "--from", "ChartQA"]) == 0
    said = "2 samples in shards/sft/chartqa; how many there should be is not known\n"
    assert capsys.readouterr().out == said
    assert main(["data", "prepare", "chartqa", "--from", "ChartQA"]) == 0
    assert capsys.readouterr().out == f"shards/sft/chartqa is complete already:\n{said}"


def test_counts_are_compared_with_what_is_expected(here, capsys):
    assert main(["data", "prepare", "gsm8k_rendered", "--from", "gsm8k", "--out", "made"]) == 0
    assert capsys.readouterr().out == "2 samples in made/sft/gsm8k_rendered; the manifest expects 7,473\n"


def test_list_shows_what_is_there_and_what_is_missing(here, capsys):
    main(["data", "prepare", "chartqa", "--from", "ChartQA"])
    put(here, "rows.jsonl", [{"question": "a?", "answer": "b"}])
    main(["data", "prepare", "mine", "--format", "jsonl", "--from", "rows.jsonl"])
    capsys.readouterr()
    assert main(["data", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["dataset", "stage", "task", "expected", "prepared", "get", "it", "from"]
    rows = {tuple(line.split()[:2]): line.split() for line in lines[1:-2]}
    assert rows["chartqa", "sft"][2:5] == ["chart", "unknown", "2"]
    assert rows["mine", "sft"][2:5] == ["–", "–", "1"]
    assert rows["coco", "pretrain"][4] == rows["coco", "sft"][4] == "missing"
    assert lines[-1] == "2 of 116 prepared; 16 have no converter (`nvlm data list NAME` says why)"
    assert main(["data", "list", "--missing", "--stage", "sft"]) == 0
    shown = capsys.readouterr().out
    assert "\nchartqa" not in shown and "\ncoco " in shown and "pretrain" not in shown


def test_list_tells_everything_about_one(here, capsys):
    assert main(["data", "list", "chartqa", "textbook_data"]) == 0
    shown = capsys.readouterr().out
    assert "chartqa: ChartQA (chart)\nget it from: https://github.com/vis-nlp/ChartQA\n" in shown
    assert "licence: unknown\nexpected samples: unknown\nconverter: flat\n  files = train/train_human.json" in shown
    assert "no converter: the paper does not say what it is" in shown


def test_ctrl_c_says_what_is_kept(here, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(preparing._Run, "_convert_row", interrupted)
        assert main(["data", "prepare", "chartqa", "--from", "ChartQA"]) == 130
    assert capsys.readouterr().err == "\nnvlm: interrupted; 0 samples are kept, and the same command goes on\n"
    assert main(["data", "prepare", "chartqa", "--from", "ChartQA"]) == 0
    assert list(here.rglob("*.part")) == []


def test_quarantine_is_pointed_at(here, capsys):
    (here / "ChartQA/train/png/10095.png").write_bytes(b"broken")
    arguments = ["data", "prepare", "chartqa", "--from", "ChartQA"]
    assert main(arguments) == 2
    assert "2 of the first 2 rows of chartqa cannot be used, a share of 100.0%" in capsys.readouterr().err
    put(here, "rows.jsonl", [{"question": "a?", "answer": "b"}, {"question": "a?"}])
    own = ["data", "prepare", "mine", "--format", "jsonl", "--from", "rows.jsonl"]
    assert main([*own, "--max-bad-share", "0.5"]) == 0
    assert capsys.readouterr().out.endswith(
        "1 rows cannot be used: shards/sft/mine/quarantine.jsonl says why; --retry tries them again\n"
    )
    put(here, "rows.jsonl", [{"question": "a?", "answer": "b"}, {"question": "a?", "answer": "c"}])
    assert main([*own, "--retry"]) == 0
    assert capsys.readouterr().out.startswith("2 samples in shards/sft/mine")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["prepare", "chartqua", "--from", "ChartQA"], "did you mean chartqa?"),
        (["prepare", "chartqa", "--from", "nowhere"], "nowhere does not exist"),
        (["prepare", "chartqa", "--from", "gsm8k"], "has no file train/train_human.json or"),
        (["prepare", "mine", "--format", "folder", "--from", "gsm8k"], "has no pictures"),
        (["list", "coca"], "did you mean coco?"),
        (["check", "gsm8k", "--against", "ChartQA"], "gsm8k has no shards"),
    ],
)
def test_mistakes_are_one_line(here, capsys, arguments, said):
    assert main(["data", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("nvlm: ") and error.count("\n") == 1 and said in error


def test_check_reports_lists_and_leaves_out(here, capsys):
    put(
        here,
        "rows.jsonl",
        [{"id": "bad", "question": TEXT, "answer": "b"}, {"id": "good", "question": "a?", "answer": "c"}],
    )
    put(here, "held_out.jsonl", [{"question": TEXT}, {"question": "Short?"}])
    main(["data", "prepare", "mine", "--format", "jsonl", "--from", "rows.jsonl"])
    capsys.readouterr()
    check = ["data", "check", "shards/sft/mine", "--against", "held_out.jsonl"]
    assert main([*check, "--report", "found.jsonl", "--filter", "left_out.txt"]) == 1
    shown = capsys.readouterr().out
    assert "against held_out.jsonl: 2 items\n1 items have texts of 13 words or more" in shown
    assert "shards/sft/mine: 2 samples; 1 share text, 0 share a picture\n" in shown
    (finding,) = [json.loads(line) for line in (here / "found.jsonl").read_text().splitlines()]
    assert (finding["id"], finding["kind"], finding["item"]) == ("mine/bad", "text", "held_out.jsonl#0")
    assert (here / "left_out.txt").read_text() == "shards/sft/mine/shard-000000.tar/000000000\n"
    assert main([*check, "--exclude"]) == 0
    assert "1 samples are left out from now on" in capsys.readouterr().out
    assert main(check) == 0
    assert "1 samples; 0 share text" in capsys.readouterr().out
