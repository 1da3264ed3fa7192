import json

import pytest

from nvlm.evaluation.records import Records


def record(index: int, **more):
    return {"index": index, "id": f"q{index}", "prompt": "?", **more}


def ids(records: Records) -> list[str]:
    return [each["id"] for each in records]


def test_what_is_appended_is_read_back_also_by_another_process(tmp_path):
    Records(tmp_path, "text/copy").append([record(0), record(1, answer="ü")])
    again = Records(tmp_path, "text/copy")
    again.append([record(2)])
    assert ids(again) == ["q0", "q1", "q2"]
    assert len((tmp_path / "text/copy.jsonl").read_text(encoding="utf-8").splitlines()) == 3


def test_a_torn_last_line_is_dropped_and_written_over(tmp_path):
    path = tmp_path / "a.jsonl"
    Records(tmp_path, "a").append([record(0)])
    with path.open("a", encoding="utf-8") as file:
        file.write('{"index": 1, "id": "q1", "pro')
    records = Records(tmp_path, "a")
    assert ids(records) == ["q0"]
    records.append([record(1)])
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == ["q0", "q1"]


def test_a_broken_line_in_the_middle_is_an_error(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id"\n{"id": "q1"}\n')
    with pytest.raises(ValueError, match=r"a\.jsonl, line 1"):
        ids(Records(tmp_path, "a"))


def test_shards_are_read_together_and_become_one_file(tmp_path):
    for rank, index in enumerate((1, 0, 2)):
        Records(tmp_path, "a", rank, 3).append([record(index)])
    first = Records(tmp_path, "a", 0, 3)
    assert first.scattered
    assert ids(first) == ["q0", "q1", "q2"]
    first.replace(first)
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]
    assert ids(Records(tmp_path, "a")) == ["q0", "q1", "q2"]


def test_a_shard_left_beside_the_whole_counts_once(tmp_path):
    """As after a kill between writing the whole and dropping the shards."""
    Records(tmp_path, "a").append([record(0), record(1)])
    Records(tmp_path, "a", 1, 2).append([record(1)])
    assert ids(Records(tmp_path, "a")) == ["q0", "q1"]


def test_without_a_folder_records_stay_in_memory():
    records = Records(None, "a")
    records.append([record(1), record(0)])
    records.replace(list(records))
    assert ids(records) == ["q1", "q0"]
    assert not records.scattered
    with pytest.raises(ValueError, match="2 processes need --out"):
        Records(None, "a", 0, 2)
