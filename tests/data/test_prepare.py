import errno
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nvlm.data import prepare as preparing
from nvlm.data import shards as storing
from nvlm.data.energon import FOLDER
from nvlm.data.plan import Plan, make_plan
from nvlm.data.prepare import check_messages, prepare
from nvlm.data.prepared import read_prepared
from nvlm.data.quarantine import quarantined
from nvlm.data.shards import PATTERN, read_shards
from tests.data.builders import ROWS, own_rows
from tests.data.sources.published import PUBLISHED, picture, pictures, put


def plan_of(folder: Path, out: Path, **options: Any) -> Plan:
    return make_plan("mine", folder / "rows.jsonl", out, format="jsonl", **{"shard_bytes": 10_000, **options})


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def test_samples_come_back_with_their_pictures(tmp_path: Path) -> None:
    PUBLISHED["docvqa"](tmp_path / "docvqa")
    done = prepare(make_plan("docvqa", tmp_path / "docvqa", tmp_path / "shards"))
    assert (done.samples, done.bad, done.complete) == (2, 0, True)
    samples = [sample for _, sample in read_shards(tmp_path / "shards" / "sft" / "docvqa")]
    assert [(sample.id, sample.source, sample.task) for sample in samples] == [
        ("docvqa/337", "docvqa", "document"),
        ("docvqa/338", "docvqa", "document"),
    ]
    assert samples[0].messages[1] == {"role": "assistant", "content": "1/8/93"}
    assert samples[0].images[0].size == (40, 20)


def test_the_bytes_of_pictures_are_untouched(tmp_path: Path) -> None:
    own_rows(tmp_path, 3)
    prepare(plan_of(tmp_path, tmp_path / "shards"))
    from nvlm.data.reading import tar_groups

    groups = list(tar_groups(tmp_path / "shards/sft/mine/shard-000000.tar"))
    assert [key for key, _ in groups] == ["000000000", "000000001", "000000002"]
    assert groups[1][1]["0.png"] == (tmp_path / "1.png").read_bytes()
    assert json.loads(groups[1][1]["json"])["pictures"] == [{"part": "0.png", "width": 17, "height": 16}]


def test_the_index_says_where_samples_begin(tmp_path: Path) -> None:
    own_rows(tmp_path, 3)
    prepare(plan_of(tmp_path, tmp_path / "shards"))
    shard = tmp_path / "shards/sft/mine/shard-000000.tar"
    index = shard.with_suffix(".tar.idx").read_bytes()
    offsets = struct.unpack(f"<{len(index) // 8}Q", index)
    data = shard.read_bytes()
    assert [data[at : at + 14] for at in offsets[:-1]] == [b"00000000%d.json" % number for number in range(3)]
    assert set(data[offsets[-1] :]) == {0}


def test_the_metadata_that_energon_wants(tmp_path: Path) -> None:
    own_rows(tmp_path)
    done = prepare(plan_of(tmp_path, tmp_path / "shards"))
    folder = tmp_path / "shards/sft/mine"
    assert len(done.shards) > 3
    assert json.loads((folder / FOLDER / ".info.json").read_text())["shard_counts"] == done.shards
    listed = "".join(f"\n  - {name}" for name in done.shards)
    assert (folder / FOLDER / "split.yaml").read_text() == f"split_parts:\n  train:{listed}\nexclude: []\n"


class Stop(BaseException):
    """Stands for Ctrl-C and kill at a chosen moment."""


@pytest.mark.parametrize("row", [0, 7, 20, 39])
def test_interrupted_and_resumed_equals_uninterrupted(
    row: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_rows(tmp_path, bad=(3, 21))
    options = {"max_bad_share": 0.5}
    prepare(plan_of(tmp_path, tmp_path / "whole", **options))
    convert = preparing._Run._convert_row

    def stopping(self: Any, number: int, given: Any, again: bool) -> None:
        convert(self, number, given, again)
        if number == row:
            raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(preparing._Run, "_convert_row", stopping)
        with pytest.raises(Stop):
            prepare(plan_of(tmp_path, tmp_path / "parts", **options))
    assert list((tmp_path / "parts").rglob("*.part")) == []
    assert not (tmp_path / "parts/sft/mine" / FOLDER).exists()
    done = prepare(plan_of(tmp_path, tmp_path / "parts", **options))
    assert (done.rows, done.bad, done.samples) == (ROWS, 2, ROWS - 2)
    assert files(tmp_path / "parts") == files(tmp_path / "whole")


def test_killed_between_a_shard_and_the_state_writes_the_shard_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_rows(tmp_path)
    prepare(plan_of(tmp_path, tmp_path / "whole"))
    with monkeypatch.context() as patch:
        patch.setattr(preparing, "write_prepared", lambda *_: (_ for _ in ()).throw(Stop()))
        with pytest.raises(Stop):
            prepare(plan_of(tmp_path, tmp_path / "parts"))
    assert len(list((tmp_path / "parts/sft/mine").glob(PATTERN))) == 1
    prepare(plan_of(tmp_path, tmp_path / "parts"))
    assert files(tmp_path / "parts") == files(tmp_path / "whole")


def test_a_second_run_does_nothing(tmp_path: Path) -> None:
    own_rows(tmp_path)
    prepare(plan_of(tmp_path, tmp_path / "shards"))
    before = files(tmp_path / "shards")
    prepare(plan_of(tmp_path, tmp_path / "shards"))
    assert files(tmp_path / "shards") == before


def test_a_full_disk_says_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own_rows(tmp_path)
    add = storing.ShardWriter.add

    def full(self: Any, row: int, *rest: Any) -> None:
        if row == 25:
            raise OSError(errno.ENOSPC, "No space left on device")
        add(self, row, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(storing.ShardWriter, "add", full)
        with pytest.raises(OSError, match=r"the disk is full; \d+ samples of \d+ rows are kept"):
            prepare(plan_of(tmp_path, tmp_path / "shards"))
    kept = read_prepared(tmp_path / "shards/sft/mine")
    assert kept is not None and 0 < kept.samples <= 25 and not kept.complete
    prepare(plan_of(tmp_path, tmp_path / "whole"))
    prepare(plan_of(tmp_path, tmp_path / "shards"))
    assert files(tmp_path / "shards") == files(tmp_path / "whole")


def test_what_cannot_be_used_is_listed_with_its_reason(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png")
    put(tmp_path, "broken.png", b"no picture")
    asked = {"question": "What?", "answer": "A dot."}
    user, assistant = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}
    good = json.dumps({"image": "a.png", **asked})
    rows = [
        good,
        json.dumps({"id": "gone", "image": "gone.png", **asked}),
        json.dumps({"image": "broken.png", **asked}),
        json.dumps({"image": "a.png", "question": "What?"}),
        '{"torn',
        json.dumps({"messages": [user]}),
        json.dumps({"messages": [{"role": "wizard", "content": "Hi"}, assistant]}),
        json.dumps({"messages": [{"role": "user", "content": "<image><image>"}, assistant], "image": "a.png"}),
        json.dumps({"image": "a.png", "question": "What?", "answer": " "}),
        json.dumps({"image": 7, **asked}),
        json.dumps({"messages": 7}),
    ]
    put(tmp_path, "rows.jsonl", "\n".join(rows))
    done = prepare(plan_of(tmp_path, tmp_path / "shards", max_bad_share=1.0))
    assert (done.samples, done.bad) == (1, 10)
    reasons = quarantined(tmp_path / "shards/sft/mine")
    expected = [
        "gone.png: No such file or directory",
        "no picture in any of the formats",
        "the row has no 'answer'",
        "rows.jsonl, line 5",
        "the last turn is the user's",
        "the role 'wizard'",
        "2 places for pictures, but there are 1",
        "the answer is ' '",
        "neither a path nor bytes",
        "another form: TypeError",
    ]
    assert list(reasons) == list(range(1, 11))
    for reason, part in zip(reasons.values(), expected, strict=True):
        assert part in reason
    listed = [json.loads(line) for line in (tmp_path / "shards/sft/mine/quarantine.jsonl").read_text().splitlines()]
    assert (listed[0]["row"], listed[0]["id"]) == (1, "gone")


def test_too_many_bad_rows_stop_the_run(tmp_path: Path) -> None:
    own_rows(tmp_path, bad=(3, 4, 5))
    with pytest.raises(
        ValueError, match=r"3 of the first 40 rows of mine cannot be used, a share of 7\.5%, and 5\.0% is allowed"
    ):
        prepare(plan_of(tmp_path, tmp_path / "shards", max_bad_share=0.05))
    assert not (tmp_path / "shards/sft/mine" / FOLDER).exists()
    assert prepare(plan_of(tmp_path, tmp_path / "shards", max_bad_share=0.1)).samples == ROWS - 3


def test_a_wrong_folder_of_pictures_is_noticed_early(tmp_path: Path) -> None:
    put(tmp_path, "rows.jsonl", [{"image": f"{number}.png", "question": "?", "answer": "!"} for number in range(5000)])
    with pytest.raises(ValueError, match=r"11 of the first 11 rows.*11 × No such file or directory.*quarantine\.jsonl"):
        prepare(plan_of(tmp_path, tmp_path / "shards"))


def test_rows_in_quarantine_are_tried_again(tmp_path: Path) -> None:
    own_rows(tmp_path, bad=(3, 21, 30))
    folder = tmp_path / "shards/sft/mine"
    first = prepare(plan_of(tmp_path, tmp_path / "shards", max_bad_share=0.5))
    put(tmp_path, "21.png", picture())
    put(tmp_path, "30.png", picture())
    again = prepare(plan_of(tmp_path, tmp_path / "shards"), retry=True)
    assert (again.samples, again.bad) == (first.samples + 2, 1)
    assert list(quarantined(folder)) == [3]
    places = [place for place, _ in read_shards(folder)]
    assert places[-2:] == [f"{list(again.shards)[-1]}/000000021", f"{list(again.shards)[-1]}/000000030"]
    assert (
        len(set(places))
        == again.samples
        == sum(json.loads((folder / FOLDER / ".info.json").read_text())["shard_counts"].values())
    )
    put(tmp_path, "3.png", picture())
    assert prepare(plan_of(tmp_path, tmp_path / "shards"), retry=True).bad == 0
    assert prepare(plan_of(tmp_path, tmp_path / "shards"), retry=True).samples == ROWS


def test_an_interrupted_retry_stores_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own_rows(tmp_path, bad=tuple(range(0, 40, 2)))
    prepare(plan_of(tmp_path, tmp_path / "shards", max_bad_share=1.0, shard_bytes=2000))
    own_rows(tmp_path)
    convert = preparing._Run._convert_row

    def stopping(self: Any, number: int, given: Any, again: bool) -> None:
        convert(self, number, given, again)
        if number == 20:
            raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(preparing._Run, "_convert_row", stopping)
        with pytest.raises(Stop):
            prepare(plan_of(tmp_path, tmp_path / "shards", shard_bytes=2000), retry=True)
    done = prepare(plan_of(tmp_path, tmp_path / "shards", shard_bytes=2000), retry=True)
    keys = [place.rpartition("/")[2] for place, _ in read_shards(tmp_path / "shards/sft/mine")]
    assert (done.bad, sorted(keys)) == (0, [f"{number:09d}" for number in range(ROWS)])


@pytest.mark.parametrize(
    ("options", "odd"),
    [
        ({"stage": "pretrain"}, None),
        ({"task": "other"}, "task ('mine' there, 'other' now)"),
        ({"shard_bytes": 7}, "shard_bytes (10000 there, 7 now)"),
        ({"fields": ["question=id"]}, "options"),
    ],
)
def test_a_folder_of_another_plan_is_refused(options: dict[str, Any], odd: str | None, tmp_path: Path) -> None:
    own_rows(tmp_path, 3)
    prepare(plan_of(tmp_path, tmp_path / "shards"))
    other = plan_of(tmp_path, tmp_path / "shards", **options)
    if odd is None:
        assert prepare(other).samples == 3
        assert other.out == tmp_path / "shards/pretrain/mine"
        return
    with pytest.raises(ValueError, match="holds shards of another") as refused:
        prepare(other)
    assert odd in str(refused.value)


def test_files_without_rows(tmp_path: Path) -> None:
    put(tmp_path, "rows.jsonl", "")
    with pytest.raises(ValueError, match="gave no samples, of 0 rows"):
        prepare(plan_of(tmp_path, tmp_path / "shards"))


def test_nothing_is_loaded_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are asked for one at a time: the second is not made before the first is stored."""
    own_rows(tmp_path, 5)
    plan, events = plan_of(tmp_path, tmp_path / "shards"), list[str]()
    rows, add = preparing.FAMILIES["jsonl"].rows, storing.ShardWriter.add

    def watched_rows(source: Any) -> Iterator[Any]:
        for row in rows(source):
            events.append("row")
            yield row

    def watched_add(self: Any, *rest: Any) -> None:
        events.append("stored")
        add(self, *rest)

    monkeypatch.setattr(preparing.FAMILIES["jsonl"], "rows", watched_rows)
    monkeypatch.setattr(storing.ShardWriter, "add", watched_add)
    prepare(plan)
    assert events == ["row", "stored"] * 5


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("chartqa", {"fields": ["a=b"]}, "goes with --format"),
        ("mine", {"format": "jsonl", "fields": ["question"]}, "--fields takes FIELD=NAME, and 'question'"),
        ("chartqa", {"stage": "pretrain"}, "uses chartqa for sft only"),
        ("pdf_vqa", {}, "has no converter: the layout of its files is not known to us; with --format"),
        ("mine", {}, "the manifest has no dataset 'mine'"),
        ("mine", {"format": "jsonl", "max_bad_share": 2.0}, "between 0 and 1"),
        ("mine", {"format": "jsonl", "shard_bytes": 0}, "at least 1"),
    ],
)
def test_plans_that_make_no_sense(name: str, options: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said):
        make_plan(name, tmp_path, tmp_path, **options)


def test_a_conversation_must_end_with_an_answer() -> None:
    check_messages([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}], 0)
    with pytest.raises(ValueError, match="a turn is empty"):
        check_messages([{"role": "user", "content": ""}, {"role": "assistant", "content": "Ho"}], 0)
