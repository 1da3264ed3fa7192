import csv
import json
from pathlib import Path

import pytest

from nvlm.data.check import exclude, findings, read_evaluation, shard_folders
from nvlm.data.energon import FOLDER
from nvlm.data.evaluation_files import read_items
from nvlm.data.plan import make_plan
from nvlm.data.prepare import prepare
from nvlm.data.shards import read_shards
from tests.data.builders import TEXT, photograph
from tests.data.sources.published import put


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three samples: one with an evaluation text, one with an evaluation picture, one with neither."""
    base = tmp_path / "training"
    base.mkdir()
    for number in range(3):
        photograph(number).save(base / f"{number}.jpg", quality=60)
    rows = [
        {"id": number, "image": f"{number}.jpg", "question": question, "answer": "yes"}
        for number, question in enumerate((f"Is it so that {TEXT}", "Is it there?", "Is it here?"))
    ]
    put(base, "rows.jsonl", rows)
    plan = make_plan("mine", base / "rows.jsonl", tmp_path / "shards", format="jsonl")
    prepare(plan)
    return plan.out


@pytest.fixture
def held_out(tmp_path: Path) -> Path:
    """An evaluation set: rows in JSON lines and CSV, and pictures."""
    base = tmp_path / "held_out"
    put(base, "test.jsonl", [{"question": "Short?"}, {"nested": {"choices": ["no", TEXT]}}])
    with (base / "more.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["question", "A"], ["Something else?", "1"]])
    photograph(1).save(base / "picture.png")
    put(base, "notes.md", TEXT)
    return base


def test_items_of_a_folder(held_out: Path) -> None:
    items = list(read_items(held_out))
    assert [(item.name, item.texts, len(item.pictures)) for item in items] == [
        ("held_out/more.csv#0", ["Something else?", "1"], 0),
        ("held_out/picture.png", [], 1),
        ("held_out/test.jsonl#0", ["Short?"], 0),
        ("held_out/test.jsonl#1", ["no", TEXT], 0),
    ]


def test_items_of_json_in_any_form(tmp_path: Path) -> None:
    put(tmp_path, "a.json", {"version": "1", "data": [{"question": "One?"}, {"question": "Two?"}]})
    put(tmp_path, "b.json", {"7": {"question": "Three?"}})
    assert [item.texts for item in read_items(tmp_path)] == [["1"], ["One?"], ["Two?"], ["Three?"]]


def test_items_of_prepared_shards(folder: Path) -> None:
    items = list(read_items(folder))
    assert [len(item.pictures) for item in items] == [1, 1, 1]
    assert items[1].name == "mine/shard-000000.tar/000000001"
    assert "Is it there?" in items[1].texts


def test_pictures_in_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    photograph(1).save(tmp_path / "1.jpg")
    rows = [
        {"question": "What?", "image": {"bytes": (tmp_path / "1.jpg").read_bytes()}},
        {"question": "", "image": {"bytes": b"x"}},
    ]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "test.parquet")
    items = list(read_items(tmp_path / "test.parquet"))
    assert [(item.name, len(item.pictures)) for item in items] == [("test.parquet#0", 1), ("test.parquet#1", 0)]


def test_what_is_shared_is_found(folder: Path, held_out: Path) -> None:
    first, second, third = findings(folder, read_evaluation([held_out]))
    assert first is not None and second is not None and third is None
    assert (first.kind, first.place, first.id, first.item) == (
        "text",
        "shard-000000.tar/000000000",
        "mine/0",
        "held_out/test.jsonl#1",
    )
    assert (second.kind, second.id, second.item) == ("picture", "mine/1", "held_out/picture.png")
    assert "bits differ" in second.detail and "word0 word1" in first.detail


def test_a_sample_with_both_has_two_findings(folder: Path) -> None:
    kinds = [(finding.id, finding.kind) for finding in findings(folder, read_evaluation([folder])) if finding]
    assert kinds == [("mine/0", "text"), ("mine/0", "picture"), ("mine/1", "picture"), ("mine/2", "picture")]


def test_excluded_samples_are_left_out_everywhere(folder: Path, held_out: Path) -> None:
    found = [finding for finding in findings(folder, read_evaluation([held_out])) if finding]
    exclude(folder, [finding.place for finding in found])
    assert [sample.id for _, sample in read_shards(folder)] == ["mine/2"]
    split = (folder / FOLDER / "split.yaml").read_text()
    assert split.endswith("exclude:\n- shard-000000.tar/000000000\n- shard-000000.tar/000000001\n")
    exclude(folder, [])
    assert (folder / FOLDER / "split.yaml").read_text() == split


def test_only_complete_folders_leave_out(folder: Path) -> None:
    state = json.loads((folder / "prepared.json").read_text())
    put(folder, "prepared.json", {**state, "complete": False})
    with pytest.raises(ValueError, match="not prepared to its end"):
        exclude(folder, [])


def test_folders_of_a_blend(folder: Path, tmp_path: Path) -> None:
    put(tmp_path, "inner.yaml", "splits:\n  train:\n    path: shards/sft/mine\n")
    put(
        tmp_path,
        "blend.yaml",
        "splits:\n  train:\n    blend:\n    - weight: 1\n      path: ./inner.yaml\n    - path: shards/sft/mine\n",
    )
    assert shard_folders([tmp_path / "blend.yaml", folder]) == [folder]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", "x", "neither a folder of shards nor a blend"),
        ("a.yaml", "path: [", "no readable YAML"),
        ("b.yaml", "path: nowhere", "nowhere has no shards"),
    ],
)
def test_what_is_no_training_data(name: str, content: str, said: str, tmp_path: Path) -> None:
    put(tmp_path, name, content)
    with pytest.raises(ValueError, match=said):
        shard_folders([tmp_path / name])


def test_what_is_no_evaluation_set(tmp_path: Path) -> None:
    put(tmp_path, "notes.md", "nothing")
    for path in (tmp_path, tmp_path / "notes.md", tmp_path / "nowhere"):
        with pytest.raises(ValueError, match="has no evaluation items"):
            list(read_items(path))


def test_an_evaluation_file_that_is_damaged(tmp_path: Path) -> None:
    put(tmp_path, "test.jsonl", '{"torn')
    with pytest.raises(ValueError, match=r"test\.jsonl, line 1"):
        read_evaluation([tmp_path])
