"""The paper's numbers: those that can be computed from others are, and the rest is checked by hand-copied rows."""

import pytest

from nvlm.evaluation.published import published

MAIN = ("NVLM-D 72B", "NVLM-X 72B", "NVLM-H 72B", "NVLM-D 34B", "NVLM-X 34B", "NVLM-H 34B")
BACKBONES = {"72B": "Qwen2-72B-Instruct", "34B": "Nous-Hermes-2-Yi-34B"}


@pytest.mark.parametrize("model", MAIN)
def test_text_only_averages_and_changes_compute(model: str):
    table = published("8")
    row, bare = table.row(model), table.row(BACKBONES[model[-3:]])
    tasks = ("MMLU", "GSM8K", "MATH", "HumanEval")
    for each in (row, bare):
        assert sum(each.values[task] for task in tasks) / 4 == pytest.approx(each.values["average"], abs=0.06)
    assert row.values["average"] - bare.values["average"] == pytest.approx(row.values["change"], abs=0.06)
    assert row.note == f"on {BACKBONES[model[-3:]]}"
    assert published("7").row(model).values["text-only change"] == row.values["change"]


def test_samples_per_second_follow_from_the_step():
    for row in published("3").rows:
        values = row.values
        assert 256 / values["milliseconds per step"] * 1000 == pytest.approx(values["samples per second"], abs=0.06)


def test_rows_are_those_of_the_paper():
    assert published("1").row("tiles, 1-D tags").values == {
        "MMMU val": 52.0, "MathVista": 53.8, "AI2D masked": 82.1, "ChartQA": 81.1, "DocVQA": 87.4, "TextVQA": 79.9,
        "OCRBench": 806,
    }  # fmt: skip
    d = published("7").row("NVLM-D 72B")
    assert (d.source, d.values["AI2D masked"], d.values["AI2D not masked"]) == ("table 7", 85.2, 94.2)
    assert published("7").row("NVLM-H 34B").source == "table 12"
    assert published("7").row("GPT-4o").values["AI2D as reported"] == 94.2
    assert len(published("7").rows) == 31 and len(published("8").rows) == 19


def test_table_9_repeats_table_7():
    for model in ("NVLM-X 72B", "NVLM-X 34B"):
        whole = published("7").row(model).values
        assert {name: whole[name] for name in published("9").columns} == published("9").row(model).values


@pytest.mark.parametrize("number", ["1", "2", "3", "7", "8", "9"])
def test_every_value_stands_in_a_column(number: str):
    table = published(number)
    for row in table.rows:
        assert row.values and set(row.values) <= set(table.columns)


def test_a_row_that_is_not_there_is_told():
    with pytest.raises(ValueError, match=r"no row 'NVLM-Q'; there is low resolution, .*1-D tags"):
        published("1").row("NVLM-Q")
    assert [row.model for row in published("7").only("NVLM-D").rows] == ["NVLM-D 72B", "NVLM-D 34B"]
