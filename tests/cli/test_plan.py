"""`nvlm plan` as it is called."""

import json
from pathlib import Path

import pytest

from nvlm.cli.main import main
from nvlm.recipes.known import find_recipe

SMALL = [
    *("paper_34b", "--stage", "sft", "--arch", "h", "--gpus", "16", "--gpu", "h100-80g"),
    *("--set", "model.language.values.num_hidden_layers=6", "--set", "model.vision.values.num_hidden_layers=2"),
]


def plan(*words: str) -> int:
    return main(["plan", *words])


def rows(shown: str) -> dict[str, list[str]]:
    """Every row of the tables by its label; the last where two have one."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in shown.splitlines() if "|" in line]
    return {label: values for label, *values in cells}


def test_one_stage_of_one_architecture(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    assert plan(*SMALL, "--samples", "2560", "--json", str(tmp_path / "plan.json")) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("paper_34b on 16 x h100-80g (80 GiB), assumed MFU 35 %\n")
    table = rows(shown)
    assert table["steps x batch"] == ["10 x 256"]
    assert table["tokens in memory"] == ["1,566"]
    assert table["as published"] == ["TP 8"]
    assert "Stage pretrain" not in shown and "Not in this plan" not in shown
    written = json.loads((tmp_path / "plan.json").read_text())
    stage = written["stages"]["H"]["sft"]
    assert f"{stage['sample_flops'] / 1e12:,.1f}" == table["TFLOP per sample: all"][0]
    assert f"{stage['peak_memory'] / 2**30:,.2f}" == table["GiB per GPU: peak"][0]
    assert written["recipes"]["H"]["model"]["language"]["values"]["num_hidden_layers"] == 6


def test_a_file_and_the_command_line_change_the_recipe(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    changes = tmp_path / "changes.yaml"
    changes.write_text("sft: {steps: 3, batch: 64}\n")
    assert plan(*SMALL, "--config", str(changes), "--set", "sft.steps=5", "--mfu", "0.5") == 0
    shown = capsys.readouterr().out
    assert rows(shown)["steps x batch"] == ["5 x 64"]
    assert "assumed MFU 50 %" in shown


def test_what_does_not_fit_is_the_exit_code(capsys: pytest.CaptureFixture[str]):
    words = ["l40s-48g" if word == "h100-80g" else "1" if word == "16" else word for word in SMALL]
    assert plan(*words) == 1
    table = rows(capsys.readouterr().out)
    assert table["smallest layout that fits"] == ["none fits"]
    assert int(table["fewest GPUs"][0]) > 1
    assert table["the stage"] == ["–"]


def test_this_machine_is_measured(capsys: pytest.CaptureFixture[str]):
    assert plan("nano", "--arch", "x", "--stage", "sft", "--calibrate") in (0, 1)  # 1 on a machine of next to no memory
    shown = capsys.readouterr().out
    assert "measured on this CPU" in shown or "measured on NVIDIA" in shown
    assert rows(shown)["MiB per GPU: peak"]
    assert "Not in this plan: nano's backbones, alignment (600 steps of" in " ".join(shown.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["paper_7b", "--gpu", "h100-80g"], "there is no recipe 'paper_7b': did you mean paper_72b?"),
        (["paper_72b", "--gpu", "h100"], "unknown GPU 'h100': did you mean h100-80g?"),
        (["paper_72b", "--gpu", "h100-80g", "--set", "sft.stps=5"], "did you mean steps?"),
        (["paper_72b_released", "--gpu", "h100-80g"], "take paper_72b, or architecture D"),
        (["nano", "--calibrate", "--mfu", "0.3"], "give one of them"),
        (["paper_72b", "--gpu", "h100-80g", "--config", "no.yaml"], "no.yaml: No such file or directory"),
        (["paper_72b", "--gpu", "h100-80g", "--mfu", "3"], "up to 1, not 3"),
    ],
)
def test_mistakes_are_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    assert plan(*words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_kind_of_gpu_or_a_measurement_is_needed(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        plan("nano")
    assert stop.value.code == 2
    assert "one of the arguments --gpu --calibrate is required" in capsys.readouterr().err


def test_a_recipe_that_adds_tokens_is_planned_with_them(capsys: pytest.CaptureFixture[str]):
    assert plan("smol", "--arch", "d", "--stage", "pretrain", "--gpu", "h100-80g") == 0
    assert rows(capsys.readouterr().out)["steps x batch"] == ["80 x 16"]
    assert find_recipe("smol", "D").model.config().text_config.vocab_size == 49152 + 3 + 6 + 1  # slot, brackets, tags
