"""Raw samples through megatron-energon: shares, lanes, and states that are exact."""

import json
import threading
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from nvlm.data.blend import Share
from nvlm.data.energon import write_excluded, write_metadata
from nvlm.data.stream import Raw, RawStream
from tests.data.shard_folders import prepared_folder

pytest.importorskip("megatron.energon")


@pytest.fixture(scope="module")
def shares(tmp_path_factory: pytest.TempPathFactory) -> list[Share]:
    base = tmp_path_factory.mktemp("stream")
    counts = {"photos": (60, 1), "notes": (50, 0)}
    return [
        Share(str(prepared_folder(base, name, count, pictures=pictures)), 0.5)
        for name, (count, pictures) in counts.items()
    ]


def place(raw: Raw) -> tuple[str, str, str]:
    return raw.source, raw.shard, raw.key


def draw(stream: RawStream, count: int) -> list[tuple[str, str, str]]:
    return [place(raw) for raw in islice(stream, count)]


def through_json(state: Any) -> Any:
    """Bytes as text, and back: nothing else may be in a state but what JSON holds."""
    text = json.dumps(state, default=lambda value: {"hex": value.hex()})
    return json.loads(text, object_hook=lambda found: bytes.fromhex(found["hex"]) if set(found) == {"hex"} else found)


def test_a_sample_is_the_bytes_of_its_parts(shares):
    raw = next(RawStream(shares[:1], shuffle=1))
    assert list(raw.parts) == ["json", "0.png"] and raw.parts["0.png"][:4] == b"\x89PNG"
    assert json.loads(raw.parts["json"])["id"] == f"photos/{int(raw.key)}"
    assert raw.address == shares[0].address and raw.shard.startswith("shard-")


def test_shares_are_those_of_the_samples_drawn(shares):
    uneven = [Share(shares[0].address, 0.8), Share(shares[1].address, 0.2)]
    found = Counter(source for source, _, _ in draw(RawStream(uneven, shuffle=10), 1000))
    assert found["photos"] / 1000 == pytest.approx(0.8, abs=0.04)


def test_lanes_share_the_samples_out_and_each_reads_its_own_once_a_pass(shares):
    lanes = [RawStream(shares[:1], lane, 3, shuffle=1) for lane in range(3)]
    passes = [draw(lane, 40) for lane in lanes]
    firsts = [found[:20] for found in passes]
    assert len({own for found in firsts for own in found}) == 60
    for found in passes:
        assert sorted(found[:20]) == sorted(found[20:]) and found[:20] != found[20:]


def test_order_depends_on_the_seed_alone(shares):
    again = [draw(RawStream(shares, seed=seed, shuffle=10), 30) for seed in (1, 1, 2)]
    assert again[0] == again[1] != again[2]


@pytest.mark.parametrize("after", [0, 1, 37, 150])
def test_a_stream_goes_on_from_its_state(shares, after):
    first = RawStream(shares, 1, 2, seed=3, shuffle=12)
    draw(first, after)
    state = through_json(first.state_dict())
    wanted = draw(first, 120)
    resumed = RawStream(shares, 1, 2, seed=3, shuffle=12)
    draw(resumed, 5)
    resumed.load_state_dict(state)
    assert draw(resumed, 120) == wanted


def test_a_sample_is_fetched_again_by_its_ticket(shares):
    first = RawStream(shares, shuffle=8)
    raws = list(islice(first, 20))
    other = RawStream(shares, shuffle=8)
    for raw in raws:
        assert place(other.again(through_json(raw.ticket))) == place(raw)


def test_streams_in_threads_do_not_disturb_each_other(shares):
    wanted = [draw(RawStream(shares, lane, 4, shuffle=5), 100) for lane in range(4)]
    found: dict[int, list[Any]] = {}
    streams = [RawStream(shares, lane, 4, shuffle=5) for lane in range(4)]
    threads = [
        threading.Thread(target=lambda lane=lane: found.update({lane: draw(streams[lane], 100)})) for lane in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[lane] for lane in range(4)] == wanted


def test_states_of_other_streams_are_refused(shares, tmp_path: Path):
    state = RawStream(shares, 0, 2).state_dict()
    for other, said in (
        (RawStream(shares, 1, 2), "lane was 0 and is 1 now"),
        (RawStream(shares, 0, 2, seed=5), "seed was 0 and is 5"),
        (RawStream(shares[:1], 0, 2), "notes was .* and is not there now"),
    ):
        with pytest.raises(ValueError, match=said):
            other.load_state_dict(state)
    folder = prepared_folder(tmp_path, "photos", 60, pictures=1)
    moved = [Share(str(folder), 0.5), shares[1]]
    RawStream(moved, 0, 2).load_state_dict(state)
    write_excluded(folder, ["shard-000000.tar/000000003"])
    write_metadata(folder, json.loads((folder / ".nv-meta/.info.json").read_text())["shard_counts"])
    with pytest.raises(ValueError, match="photos was"):
        RawStream(moved, 0, 2).load_state_dict(state)


def test_folders_with_fewer_samples_than_lanes_are_named(shares):
    with pytest.raises(ValueError, match=r"55 lanes, .* fewer are in \S*notes \(50\); use fewer lanes"):
        RawStream(shares, 0, 55)
