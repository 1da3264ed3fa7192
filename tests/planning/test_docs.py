"""The plans in `docs/training.md` are what the commands above them print."""

import re
import shlex
from pathlib import Path

import pytest

from nvlm.cli.main import main

PAGE = Path(__file__).resolve().parents[2] / "docs" / "training.md"
SHOWN = re.findall(r"```bash\nnvlm (plan [^\n]+)\n```\n\n```\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_both_sizes_are_shown_for_every_architecture():
    recipes = [shlex.split(command)[1] for command, _ in SHOWN]
    assert recipes == ["paper_72b", "paper_34b"]
    for _, output in SHOWN:
        assert all(f"NVLM-{name}" in output for name in "DXH")


@pytest.mark.parametrize(("command", "output"), SHOWN, ids=[command for command, _ in SHOWN])
def test_plans_are_those_that_the_command_prints(
    command: str, output: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert main(shlex.split(command)) == 0
    printed = capsys.readouterr().out
    assert [line.rstrip() for line in printed.splitlines()] == output.splitlines()


def test_the_papers_order_of_speed():
    """Table 3: X, then H, then D; and both ratios are in the text."""
    table = SHOWN[1][1].partition("Beside the paper's table 3")[2]
    rows = {
        cells[1].strip(): [float(cell) for cell in cells[2:5]]
        for cells in (line.split("|") for line in table.splitlines() if line.startswith("| samples/s"))
    }
    for ratios in rows.values():
        assert ratios[1] > ratios[2] > ratios[0] == 1
    text = PAGE.read_text(encoding="utf-8")
    for ratio in (ratio for ratios in rows.values() for ratio in ratios[1:]):
        assert f"{ratio:.2f}" in text.rpartition("### Beside the paper's table 3")[2]
