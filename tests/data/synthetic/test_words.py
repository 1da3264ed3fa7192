import pytest

from nvlm.data.synthetic.canvas import COLOURS, OUTLINES
from nvlm.data.synthetic.words import kinds, labels, nouns


def test_words_are_listed_once_in_their_kind():
    assert all(len(set(words)) == len(words) > 0 for words in kinds().values())


def test_every_named_colour_and_shape_can_be_drawn():
    assert set(kinds()["colours"]) == set(COLOURS)
    assert set(kinds()["shapes"]) == {*OUTLINES, "circle", "ring"}


def test_nouns_are_lower_case_and_labels_add_names():
    assert all(word.islower() for word in nouns())
    assert len(set(labels())) == len(labels()) >= 500
    assert {"Monday", "June", "Japan"} <= set(labels()) - set(nouns())


@pytest.mark.parametrize(
    "kind", ["animals", "foods", "things", "nature", "people", "months", "days", "places", "shops"]
)
def test_words_are_plain_letters(kind):
    assert all(word.isascii() and word.isalpha() for word in kinds()[kind])
