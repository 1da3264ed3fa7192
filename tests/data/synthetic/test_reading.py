from itertools import pairwise

import pytest

from nvlm.data.synthetic.words import labels
from tests.data.synthetic.drawn import drawn_turns, lines, texts


@pytest.mark.parametrize("task", ["word", "number", "line"])
def test_the_answer_is_what_is_drawn(task):
    for drawing, turn in drawn_turns(task):
        assert texts(drawing) == [turn.answer]


def test_words_come_from_the_vocabulary_and_numbers_have_at_most_five_digits():
    assert {turn.answer for _, turn in drawn_turns("word")} <= set(labels())
    assert len(labels()) >= 500
    numbers = [turn.answer for _, turn in drawn_turns("number")]
    assert all(number.isdecimal() and str(int(number)) == number for number in numbers)
    assert {len(number) for number in numbers} == {1, 2, 3, 4, 5}


def test_a_line_has_three_words():
    assert {len(turn.answer.split()) for _, turn in drawn_turns("line")} == {3}


def test_questions_about_a_page_are_answered_from_its_lines():
    for drawing, turn in drawn_turns("page"):
        found = texts(drawing)
        assert 2 <= len(found) <= 6
        match turn.task:
            case "read/page":
                assert turn.answer.split("\n") == found
            case "read/count_lines":
                assert turn.answer == str(len(found))
            case _:
                place = int(turn.question.removeprefix("Read line ").removesuffix("."))
                assert turn.answer == found[place - 1]


def test_lines_of_a_page_do_not_touch():
    for drawing, _ in drawn_turns("page"):
        found = lines(drawing)
        assert all(below[0].box[1] > above[0].box[3] for above, below in pairwise(found))
