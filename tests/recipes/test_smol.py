"""What smol trains on."""

import doctest
from pathlib import Path

import pytest

from nvlm.data import drawn
from nvlm.data.blend import Blend, Folder, shares
from nvlm.data.shards import read_shards
from nvlm.data.synthetic.problem import Turn
from nvlm.recipes.known import find_recipe
from nvlm.recipes.smol import data, pictures
from nvlm.recipes.smol.pictures import draw_pictures, sentence


def test_the_examples_in_docstrings_hold():
    assert doctest.testmod(pictures).failed == 0


@pytest.mark.parametrize(
    ("question", "answer", "said"),
    [
        ("How many stars are there?", "3", "There are 3."),
        ("How many stars are there?", "1", "There is one."),
        ("Which shape is red?", "star", "The star is red."),
        ("Describe the picture.", "a red star", "The picture shows a red star."),
        ("What does it say?", "Tee", "It says “Tee”."),
        ("What is the total?", "3.50", "It is 3.50."),
    ],
)
def test_answers_are_sentences(question, answer, said):
    assert sentence(Turn("task", question, answer)) == said


def test_drawing_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(drawn, "PER_SHARD", 4)
    whole = draw_pictures(tmp_path / "whole", "sft", 10)
    plain = pictures.draw_sample

    def stop_in_the_second_shard(stage, row):
        if row == 6:
            raise KeyboardInterrupt
        return plain(stage, row)

    monkeypatch.setattr(pictures, "draw_sample", stop_in_the_second_shard)
    with pytest.raises(KeyboardInterrupt):
        draw_pictures(tmp_path / "halves", "sft", 10)
    assert len(list((tmp_path / "halves").glob("*.tar"))) == 1
    monkeypatch.setattr(pictures, "draw_sample", plain)
    halves = draw_pictures(tmp_path / "halves", "sft", 10)
    assert [path.name for path in sorted(halves.glob("*.tar"))] == [f"shard-{number:06d}.tar" for number in range(3)]
    assert all((whole / path.name).read_bytes() == path.read_bytes() for path in halves.glob("*.tar"))
    samples = [sample for _, sample in read_shards(halves)]
    assert [sample.id for sample in samples] == [f"drawn/{row}" for row in range(10)]
    assert all(sample.messages[-1]["content"].endswith(".") and len(sample.images) == 1 for sample in samples)
    with pytest.raises(ValueError, match=r"holds samples of .* choose another folder"):
        draw_pictures(halves, "sft", 11)


def test_text_is_a_quarter_of_fine_tuning_and_nothing_of_pretraining(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "PICTURES", {"pretrain": 2, "sft": 2})
    given = Blend((Folder("a", 3), Folder("b")))
    found = {Path(share.address).name: share.share for share in shares(data.smol_blend(tmp_path, "sft", given), len)}
    assert found == pytest.approx({"drawn": 0.75, "a": 0.1875, "b": 0.0625})
    assert [folder.address for folder in data.smol_blend(tmp_path, "pretrain", given).folders()] == [
        str(tmp_path / "drawn" / "pretrain" / "drawn")
    ]
    with pytest.raises(ValueError, match="none is named; prepare some and name it"):
        data.smol_blend(tmp_path, "sft", None)


@pytest.mark.parametrize("architecture", ["D", "X", "H"])
def test_the_papers_way_at_the_smallest_size(architecture):
    """What trains, tiles and tags are those of the paper; only H pretrains on tiles."""
    recipe, paper = find_recipe("smol", architecture), find_recipe("paper_72b", architecture)
    for name in ("pretrain", "sft"):
        own, other = getattr(recipe, name), getattr(paper, name)
        assert (own.trainable, own.max_tiles > 1, own.tags.format) == (
            other.trainable,
            other.max_tiles > 1,
            other.tags.format,
        )
