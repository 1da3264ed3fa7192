"""The demo's questions: figures with a source, pictures that hold what they should, answers that are right."""

import pytest

from nvlm.data.showcase import exhibits
from nvlm.data.showcase.facts import Facts, read_facts
from nvlm.data.synthetic.scoring import is_right

FACTS = pytest.mark.parametrize("facts", read_facts(), ids=lambda facts: facts.title)


def test_there_are_enough_of_every_kind() -> None:
    shown = exhibits()
    assert len(shown) >= 14
    assert sum(exhibit.image is not None for exhibit in shown) >= 12
    assert sum(exhibit.image is None for exhibit in shown) == 1
    assert len(read_facts()) >= 8
    assert 1 <= sum(bool(facts.unknown_labels) for facts in read_facts()) <= 3
    assert len({exhibit.title for exhibit in shown}) == len(shown)


def test_they_are_the_same_every_time() -> None:
    for one, other in zip(exhibits(), exhibits(), strict=True):
        assert (one.title, one.question, one.truth, one.credit) == (
            other.title,
            other.question,
            other.truth,
            other.credit,
        )
        assert (one.image is None) == (other.image is None)
        if one.image is not None and other.image is not None:
            assert one.image.tobytes() == other.image.tobytes()


def test_everything_is_said() -> None:
    for exhibit in exhibits():
        assert exhibit.question
        assert is_right(exhibit.truth, exhibit.truth)
        assert exhibit.credit.endswith(".")
        assert bool(exhibit.description) == (exhibit.image is not None)


@FACTS
def test_figures_have_a_source_and_one_answer(facts: Facts) -> None:
    values = list(facts.values.values())
    assert facts.source
    assert facts.licence
    assert all(isinstance(value, int) and 1 <= value <= 999 for value in values)
    assert len(set(values)) == len(values) > 1
    assert set(facts.about) <= set(facts.values)


@FACTS
def test_pictures_hold_every_figure_within_their_edges(facts: Facts) -> None:
    drawing = facts.draw()
    words = {mark.word for mark in drawing.marks}
    assert words >= {*facts.values, *map(str, facts.values.values())}
    edges = [edge for mark in drawing.marks for edge in mark.box]
    assert min(edges) >= 0
    assert max(edges) <= 1


def test_truths_that_can_be_looked_up() -> None:
    truths = {facts.title: facts.truth for facts in read_facts()}
    assert truths["Medals at the 2018 Winter Olympics"] == "29"
    assert truths["Seats in the European Parliament"] == "Germany"
    assert truths["World Cups won in men's football, to 2022"] == "7"
    assert truths["Energy in raw food, kilocalories in 100 g"] == "tomato"
