"""`nvlm compare` as it is called; what it does is tested where it is done."""

import sys
from pathlib import Path

import pytest

from nvlm.cli.compare import command_of
from nvlm.cli.main import build_parser, main
from nvlm.inference.load import MODELS
from nvlm.recipes.compare import conduct as conducting
from nvlm.training.loop import Interrupted

COMMANDS = {"compare": ("nvlm.cli.compare", "train variants of a recipe, and write one report about them")}


def compare(*words: str) -> int:
    return main(["compare", "nano", *words], COMMANDS)


@pytest.fixture
def conducted(monkeypatch: pytest.MonkeyPatch):
    """Studies that would have been conducted."""
    seen = []

    def note(study, command, *, dry_run):
        seen.append((study, command, dry_run))
        return None if dry_run else study.folder / "compare.html"

    monkeypatch.setattr(conducting, "conduct", note)
    return seen


def test_the_command_line_makes_a_study(conducted, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    changes = ("--set", "sft.steps=7", "--set", "text_rows=2")
    assert compare("--variants", "main,x-frozen", "--seeds", "2", "--out", str(tmp_path), *changes) == 0
    study, command, dry_run = conducted[0]
    assert study.names == ("d", "x", "h", "x-frozen") and not dry_run
    assert study.backbones == MODELS
    assert (study.recipe.sft.steps, study.recipe.text_rows, study.questions) == (7, 2, 100)
    assert [each.title for each in study.planned()] == [
        "d, seed 0", "x, seed 0", "h, seed 0", "d, seed 1", "x, seed 1", "h, seed 1",
        "x-frozen, seed 0", "x-frozen, seed 1",
    ]  # fmt: skip
    assert command == (
        "nvlm compare nano --variants main,x-frozen --seeds 2 --ablation-seeds 2 --limit 100 "
        "--set sft.steps=7 --set text_rows=2"
    )
    assert f"the report: {tmp_path / 'compare.html'}" in capsys.readouterr().out


def test_a_dry_run_promises_no_report(conducted, capsys: pytest.CaptureFixture[str]):
    assert compare("--dry-run") == 0
    assert conducted[0][2] is True
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seeds", "0"], "--seeds is 0; it must be at least 1"),
        (["--ablation-seeds", "-1"], "--ablation-seeds is -1"),
        (["--variants", "d,x-frozn"], "did you mean frozen"),
        (["--set", "sft.step=5"], "did you mean steps"),
        (["--set", "pictures=0"], "pictures is 0; it must be at least 1"),
        (["--set", "text_rows=24"], "text_rows is 24 of the 24 rows"),
        (["--threads", "-1"], "--threads is -1; it must be at least 1"),
        (["--set", "vision.steps=5"], "no use for another vision"),
    ],
)
def test_wrong_input_is_told_in_one_line(conducted, words: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    assert compare(*words) == 2
    assert message in capsys.readouterr().err
    assert conducted == []


def test_missing_backbones_say_how_to_make_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert compare("--backbones", str(tmp_path)) == 2
    said = capsys.readouterr().err
    assert f"{tmp_path / 'nano-vision'} holds no finished backbone" in said
    assert "nvlm train nano makes it in runs/nano, and --backbones runs/nano takes it from there" in said


def test_an_interrupted_run_says_how_to_go_on(conducted, monkeypatch, capsys: pytest.CaptureFixture[str]):
    def stop(*args, **kwargs):
        raise Interrupted("nano-d sft stopped after step 2 of 3 and saved; continue with --resume")

    monkeypatch.setattr(conducting, "conduct", stop)
    assert compare() == 130
    assert capsys.readouterr().err == "nano-d sft stopped after step 2 of 3 and saved; the same command goes on\n"


def test_ctrl_c_says_where_what_is_done_stands(
    conducted, monkeypatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(conducting, "conduct", stop)
    assert compare("--out", str(tmp_path)) == 130
    assert f"what is done so far is in {tmp_path}; the same command goes on" in capsys.readouterr().err


def test_folders_are_not_in_the_command(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["nvlm"])
    words = ["compare", "nano", "--out", "/somewhere", "--backbones", "/elsewhere", "--threads", "2"]
    args = build_parser(words, COMMANDS).parse_args(words)
    assert "where" not in command_of(args)
