from collections import Counter

import pytest

from nvlm.data.manifest import find_dataset, read_manifest
from nvlm.data.sources.families import FAMILIES

# how many datasets the paper's tables 4 and 6 and its text-only set name, by category
PRETRAINING = {"captioning": 4, "vqa": 2, "chart": 1, "document": 1, "ocr": 9, "math": 1}
FINE_TUNING = {
    "captioning": 3,
    "vqa": 5,
    "knowledge": 2,
    "reasoning": 4,
    "chart": 9,
    "table": 5,
    "document": 8,
    "ocr": 28,
    "math": 13,
    "science": 5,
    "instruction": 3,
    "text/general": 6,
    "text/math": 3,
    "text/code": 3,
}


def test_it_has_every_dataset_of_the_paper() -> None:
    rows = read_manifest().values()
    assert Counter(row.task for row in rows if "pretrain" in row.stages) == PRETRAINING
    assert Counter(row.task for row in rows if "sft" in row.stages) == FINE_TUNING
    assert len({row.title for row in rows}) == len(rows)


def test_a_row_has_a_converter_or_says_why_not() -> None:
    for row in read_manifest().values():
        assert (row.converter in FAMILIES) != bool(row.why), row.name
        assert row.name == row.name.lower() and row.name.replace("_", "").isalnum()
        assert row.expected is None or row.expected > 0


def test_what_is_not_known_is_unknown() -> None:
    row = find_dataset("textbook_data")
    assert (row.address, row.homepage, row.licence, row.expected, row.converter) == (*["unknown"] * 3, None, None)


def test_subsets_of_collections() -> None:
    assert (find_dataset("raven").subset, find_dataset("coco").subset, find_dataset("slimorca").subset) == (
        "raven",
        "",
        "",
    )
    assert [row.name for row in read_manifest().values() if row.text_only][:2] == ["sharegpt", "slimorca"]


def test_a_misspelt_name_is_told_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"no dataset 'ChartQa'; did you mean chartqa\?"):
        find_dataset("ChartQa")
