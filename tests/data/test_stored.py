"""Samples by their number."""

from pathlib import Path

import pytest

from nvlm.data.energon import write_excluded
from nvlm.data.shards import read_shards, to_sample
from nvlm.data.stored import StoredSamples
from tests.data.shard_folders import prepared_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared_folder(tmp_path_factory.mktemp("stored"), "photos", 300, pictures=1)


def test_every_sample_is_found_by_its_number(folder: Path):
    samples, every = StoredSamples(folder), list(read_shards(folder))
    assert len(samples) == len(every) == 300
    assert len(list(folder.glob("shard-*.tar"))) > 2
    for number in (299, 0, 150, 37):
        raw = samples[number]
        assert f"{raw.shard}/{raw.key}" == every[number][0]
        found = to_sample(raw.parts)
        assert (found.id, found.messages) == (every[number][1].id, every[number][1].messages)
        assert raw.source == "photos"
    assert len({f"{raw.shard}/{raw.key}" for raw in samples}) == 300


def test_there_is_none_before_the_first_and_behind_the_last(folder: Path):
    for number in (-1, 300):
        with pytest.raises(IndexError, match="300 samples, and no number"):
            StoredSamples(folder)[number]


def test_samples_that_are_left_out_cannot_be_told_apart(tmp_path: Path):
    folder = prepared_folder(tmp_path, "texts", 6)
    write_excluded(folder, [next(place for place, _ in read_shards(folder))])
    with pytest.raises(ValueError, match="leaves out 1 of its samples"):
        StoredSamples(folder)
