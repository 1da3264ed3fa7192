import random

import pytest

from nvlm.data.synthetic.listing import LARGEST_SUM, Listing, draw_listing
from nvlm.data.synthetic.splits import SPLITS, split_of
from tests.data.synthetic import listings

LISTING = Listing([("apple", 3), ("pear", 7), ("plum", 1)])


def test_a_value_is_looked_up_by_its_label():
    assert LISTING.value("pear") == 7


@pytest.mark.parametrize("seed", range(20))
def test_turns_are_different_and_right(seed):
    turns = LISTING.turns(random.Random(seed), "table", 4)
    assert len({turn.question for turn in turns}) == 4
    assert all(turn.answer == listings.answer(LISTING.rows, turn.task, turn.question) for turn in turns)


def test_sums_and_differences_are_asked_of_single_digits_only():
    big = Listing([("apple", 3), ("pear", LARGEST_SUM + 1)])
    asked = {turn.task for seed in range(60) for turn in big.turns(random.Random(seed), "table", 4)}
    assert asked == {"table/value", "table/largest", "table/smallest", "table/count"}


def test_more_turns_than_questions_gives_every_question():
    assert len(Listing([("apple", 20), ("pear", 30)]).turns(random.Random(0), "table", 50)) <= 7


@pytest.mark.parametrize("split", SPLITS)
def test_rows_belong_to_the_split(split):
    for seed in range(100):
        listing = draw_listing(random.Random(seed), split, 5)
        assert len(listing.rows) == 5
        listings.check(listing.rows)
        assert {split_of(f"{label}={value}") for label, value in listing.rows} == {split}


def test_values_can_be_bounded():
    assert all(
        value <= 6 for seed in range(30) for _, value in draw_listing(random.Random(seed), "train", 3, largest=6).rows
    )
