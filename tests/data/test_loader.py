"""Lanes of packed micro-batches: whole, exact to resume in any grouping, and honest about what they leave out."""

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from nvlm.data import lane as lane_module
from nvlm.data.bad_samples import fetch, read_bad
from nvlm.data.blend import Blend, Folder
from nvlm.data.lane import PackedLane
from nvlm.data.loader import BlendedBatches, Loading
from tests.data.shard_folders import break_pictures, prepared_folder
from tests.data.test_stream import through_json
from tests.processing.builders import processor

pytest.importorskip("megatron.energon")

LOADING = Loading(tokens=96, memory_views=24, lanes=4, rows=2, lookahead=6, shuffle=8, max_tiles=3, workers=0)
COUNTS = {"photos": (90, 1), "pairs": (40, 2), "notes": (60, 0)}


@pytest.fixture(scope="module")
def blend(tmp_path_factory: pytest.TempPathFactory) -> Blend:
    base = tmp_path_factory.mktemp("loader")
    return Blend(
        tuple(Folder(str(prepared_folder(base, name, count, pictures=each))) for name, (count, each) in COUNTS.items())
    )


@pytest.fixture
def broken(tmp_path: Path) -> Blend:
    """Two in five of the pictures cannot be decoded, and every fifth header is no picture's."""
    folder = prepared_folder(tmp_path, "photos", 40, pictures=1)
    break_pictures(folder)
    return Blend((Folder(str(folder)), Folder(str(prepared_folder(tmp_path, "notes", 40)))))


def batches(blend: Blend, architecture: str = "H", bad_samples: Path | None = None, **changes: Any) -> BlendedBatches:
    made = processor(architecture, max_tiles=6, tag_format="1d")
    return BlendedBatches(blend, made, replace(LOADING, **changes), bad_samples=bad_samples)


def take(lane: PackedLane, count: int) -> list[dict[str, Any]]:
    return list(islice(iter(lambda: next(lane), None), count))


def assert_same(found: Sequence[dict[str, Any]], wanted: Sequence[dict[str, Any]]) -> None:
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert one.keys() == other.keys()
        assert one["accounting"] == other["accounting"]
        for name in one.keys() - {"accounting"}:
            assert torch.equal(one[name], other[name]), name


def sources(batch: dict[str, Any]) -> dict[str, dict[str, int]]:
    return {name: counts for name, counts in batch["accounting"].items() if isinstance(counts, dict)}


@pytest.mark.parametrize("architecture", ["D", "X", "H"])
def test_a_micro_batch_is_what_the_model_takes_and_counts_itself(blend, architecture):
    seen: dict[str, int] = {}
    pad = processor(architecture).pad_token_id
    for batch in take(batches(blend, architecture).open(0), 12):
        counts = batch["accounting"]
        assert batch["input_ids"].shape[0] == 2 and counts["row_tokens"] == 2 * 96
        own = sources(batch).values()
        total = {name: sum(each[name] for each in own) for name in ("tokens", "supervised", "tiles", "images")}
        assert total["supervised"] == (batch["labels"] != -100).sum()
        assert total["tiles"] == len(batch.get("pixel_values", ()))
        assert total["tokens"] == (batch["input_ids"] != pad).sum()
        for name, each in sources(batch).items():
            assert each["images"] == COUNTS[name][1] * each["samples"]
            seen[name] = seen.get(name, 0) + each["samples"]
    assert set(seen) == set(COUNTS)


def test_rows_are_full(blend):
    """Of a mixed blend, with the lookahead that is the default: less than a twentieth is padding."""
    lane = batches(blend, lookahead=256, lanes=1).open(0)
    taken = take(lane, 60)
    tokens = sum(each["tokens"] for batch in taken for each in sources(batch).values())
    assert tokens / sum(batch["accounting"]["row_tokens"] for batch in taken) >= 0.95


def test_lanes_go_on_exactly_in_any_grouping_of_processes(blend):
    """One process, then two, four, and one again: each opens its own lanes, from what was saved of them."""
    lanes, steps = range(LOADING.lanes), 3
    wanted = {number: take(batches(blend).open(number), 4 * steps) for number in lanes}
    found: dict[int, list[dict[str, Any]]] = {number: [] for number in lanes}
    states: dict[int, dict[str, Any]] = {}
    for processes in (1, 2, 4, 1):
        groups = [lanes[rank::processes] for rank in range(processes)]
        for group in groups:
            mine = batches(blend, workers=2 if processes == 2 else 0)
            opened = {number: mine.open(number) for number in group}
            for number, lane in opened.items():
                if number in states:
                    lane.load_state_dict(states[number])
            for _ in range(steps):
                for number, lane in opened.items():
                    found[number].append(next(lane))
            for number, lane in opened.items():
                states[number] = through_json(lane.state_dict())
                lane.close()
    for number in lanes:
        assert_same(found[number], wanted[number])


@pytest.mark.parametrize("workers", [1, 3])
def test_threads_that_work_ahead_change_nothing(blend, workers):
    wanted = take(batches(blend).open(1), 10)
    lane = batches(blend, workers=workers, ahead=4).open(1)
    assert_same(take(lane, 6), wanted[:6])
    state = through_json(lane.state_dict())
    assert_same(take(lane, 2), wanted[6:8])
    lane.load_state_dict(state)
    assert_same(take(lane, 4), wanted[6:])
    lane.close()


def test_a_state_says_where_samples_are_and_holds_none(blend):
    lane = batches(blend, lookahead=20).open(0)
    take(lane, 3)
    assert len(json.dumps(lane.state_dict(), default=bytes.hex)) < 80_000


def test_states_of_other_settings_are_refused(blend):
    lane = batches(blend).open(0)
    take(lane, 2)
    state = lane.state_dict()
    for changes, said in (
        ({"rows": 1}, "micro-batches of 2 rows, and there are 1 now"),
        ({"tokens": 80}, "another tokens"),
        ({"seed": 7}, "seed was 0 and is 7 now"),
        ({"system": "Be brief."}, "another tokenizer, tile limit or system turn"),
    ):
        with pytest.raises(ValueError, match=said):
            batches(blend, **changes).open(0).load_state_dict(state)


def test_a_system_turn_is_put_before_every_conversation(blend):
    made = processor("X", max_tiles=6)
    first = next(BlendedBatches(blend, made, replace(LOADING, system="Be brief.")).open(0))
    assert made.tokenizer.decode(first["input_ids"][0]).startswith("<|im_start|>system\nBe brief.<|im_end|>\n")


def test_weights_that_count_tokens_are_counted_with_the_processor(blend):
    by_tokens = Blend(blend.parts, weights="tokens")
    found = batches(by_tokens, lanes=1, lookahead=32, shuffle=50)
    taken = take(found.open(0), 120)
    tokens = {name: sum(sources(batch).get(name, {}).get("tokens", 0) for batch in taken) for name in COUNTS}
    for name in COUNTS:
        assert tokens[name] / sum(tokens.values()) == pytest.approx(1 / 3, abs=0.05)
    assert {Path(share.address).name for share in found.shares} == set(COUNTS)


def test_broken_samples_are_counted_listed_once_and_can_be_fetched(broken, tmp_path):
    lists = tmp_path / "run" / "bad"
    lane = batches(broken, bad_samples=lists, lanes=1, max_bad_share=1.0).open(0)
    taken = take(lane, 30)
    quarantined = sum(sources(batch).get("photos", {}).get("quarantined", 0) for batch in taken)
    listed = read_bad(lists)
    assert quarantined > len(listed) == 16
    assert {each.source for each in listed} == {"photos"} and all(each.broken for each in listed)
    reasons = {int(each.key) % 5: each.reason for each in listed}
    assert set(reasons) == {0, 1}
    assert "truncated or damaged" in reasons[0] and "is no picture in any of the formats" in reasons[1]
    assert all(json.loads(fetch(each)["json"])["id"] == f"photos/{int(each.key)}" for each in listed)
    with pytest.raises(ValueError, match="has no sample 99999 any more"):
        fetch(listed[0]._replace(key="99999"))


def test_the_list_of_broken_samples_goes_on_as_the_lane_does(broken, tmp_path):
    def texts(folder: Path) -> dict[str, str]:
        return {path.name: path.read_text() for path in folder.iterdir()}

    whole = batches(broken, bad_samples=tmp_path / "whole", lanes=2, max_bad_share=1.0).open(1)
    wanted = take(whole, 12)
    lane = batches(broken, bad_samples=tmp_path / "cut", lanes=2, max_bad_share=1.0).open(1)
    take(lane, 4)
    state = through_json(lane.state_dict())
    take(lane, 5)  # lost in a crash, but in the list
    again = batches(broken, bad_samples=tmp_path / "cut", lanes=2, max_bad_share=1.0, workers=1).open(1)
    again.load_state_dict(state)
    assert_same(take(again, 8), wanted[4:])
    again.close()
    assert texts(tmp_path / "cut") == texts(tmp_path / "whole") and len(texts(tmp_path / "whole")) == 1


def test_too_many_broken_samples_stop_training(broken, tmp_path):
    lane = batches(broken, bad_samples=tmp_path / "bad", lanes=1, max_bad_share=0.01).open(0)
    with pytest.raises(ValueError, match="samples of photos cannot be used") as error:
        take(lane, 200)
    said = str(error.value)
    assert int(said.split()[0]) > 10 and "a share of 1.0% is allowed, counted of at least 1,000; the last: /" in said
    assert f"listed in {tmp_path}/bad/lane-00.jsonl" in said


def test_samples_that_are_too_long_are_dropped_or_split_and_counted(tmp_path):
    blend = Blend(
        tuple(Folder(str(prepared_folder(tmp_path, name, 40, pictures=n))) for name, n in (("a", 1), ("b", 0)))
    )
    small = {"tokens": 24, "lanes": 1, "rows": 1}
    dropping = take(batches(blend, "D", tmp_path / "bad", **small).open(0), 25)
    dropped = sum(each.get("dropped", 0) for batch in dropping for each in sources(batch).values())
    listed = read_bad(tmp_path / "bad")
    assert dropped >= len(listed) > 0 and not any(each.broken for each in listed)
    assert listed[0].reason.startswith("too long: ")
    splitting = take(batches(blend, "D", too_long="split", **small).open(0), 25)
    assert not any("dropped" in counts for batch in splitting for name, counts in sources(batch).items() if name == "b")
    assert any("dropped" in counts for batch in splitting for name, counts in sources(batch).items() if name == "a")


def test_where_nothing_can_be_used_there_is_an_end(blend, monkeypatch):
    monkeypatch.setattr(lane_module, "IN_VAIN", 50)
    said = r"50 samples .* cannot be used; the last: .*, too long: \d+ tokens where a row has 5$"
    with pytest.raises(ValueError, match=said):
        next(batches(blend, tokens=5).open(0))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"lanes": 0}, "lanes is 0"),
        ({"workers": -1}, "workers is -1"),
        ({"tokens": 0}, "a budget has at least 1 token"),
        ({"too_long": "cut"}, "must be 'drop' or 'split'"),
        ({"max_bad_share": 2.0}, "it is a share"),
    ],
)
def test_settings_that_make_no_sense_are_refused(blend, changes, said):
    with pytest.raises(ValueError, match=said):
        batches(blend, **changes).open(0)


def test_there_are_as_many_lanes_as_said(blend):
    with pytest.raises(ValueError, match="no lane 4; there are 4"):
        batches(blend).open(4)
