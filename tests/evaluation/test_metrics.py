"""Row tables: what is said, what is true, the score."""

import pytest

from nvlm.evaluation.metrics import (
    CONTRACTIONS,
    anls,
    as_number,
    edit_distance,
    relaxed_match,
    vqa_accuracy,
    vqa_normalise,
)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Red.", "red"),
        ("  The   red\nhat ", "red hat"),
        ("a", ""),
        ("two dogs", "2 dogs"),
        ("None", "0"),
        ("eleven", "eleven"),
        ("dont", "don't"),
        ("couldnt've", "couldn't've"),
        ("3.5", "3.5"),
        ("end. Of", "end of"),
        ("1,000", "1000"),
        ("well-known", "well known"),
        ("red, blue", "red blue"),
        ("1/2", "1 2"),
        ("yes!", "yes"),
        ("what?why", "what why"),
        ("10:30", "10:30"),
        ("", ""),
    ],
)
def test_vqa_normalisation(text, normal):
    assert vqa_normalise(text) == normal


def test_no_common_word_is_taken_for_one_that_lost_its_apostrophe():
    assert CONTRACTIONS["wont"] == "won't"
    assert not {"well", "were", "shell", "id", "ill", "its"} & set(CONTRACTIONS)


@pytest.mark.parametrize(
    ("answer", "truths", "score"),
    [
        ("red", ["red"] * 10, 1.0),
        ("Red!", ["red"] * 10, 1.0),
        ("red", ["red"] * 4 + ["blue"] * 6, 1.0),
        ("red", ["red"] * 3 + ["blue"] * 7, 0.9),
        ("red", ["red"] * 2 + ["blue"] * 8, 0.6),
        ("red", ["red"] + ["blue"] * 9, 0.3),
        ("green", ["red"] * 3 + ["blue"] * 7, 0.0),
        ("2", ["two"] * 10, 1.0),
        ("", ["red"] * 10, 0.0),
        ("red", ["red"], 1.0),
        ("blue", ["red"], 0.0),
    ],
)
def test_vqa_accuracy(answer, truths, score):
    assert vqa_accuracy(answer, truths) == pytest.approx(score)


@pytest.mark.parametrize(
    ("answer", "truth", "right"),
    [
        ("105", "100", True),
        ("95", "100", True),
        ("105.1", "100", False),
        ("-97", "-100", True),
        ("-110", "-100", False),
        ("14%", "14", True),
        ("14", "14 %", True),
        ("0.14", "14%", False),
        ("1,040", "1000", True),
        ("$1040", "1000", True),
        ("0", "0", True),
        ("0.001", "0", False),
        ("2011", "2010", True),  # as published: a year is a number
        ("Japan", "japan", True),
        ("Japan.", "Japan", True),
        ("Japan and China", "Japan", False),
        ("ten", "10", True),  # number words are normalised first
        ("10 million", "10", False),
        ("nan", "nan", True),
        ("inf", "5", False),
        ("", "5", False),
    ],
)
def test_relaxed_match(answer, truth, right):
    assert relaxed_match(answer, truth) is right


def test_numbers_are_plain():
    assert [as_number(text) for text in ("1e3", "1.", ".5", "+2", "1_000", "infinity", "٣")] == [
        1000.0, 1.0, 0.5, 2.0, None, None, 3.0,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "truths", "score"),
    [
        ("1/8/93", ["1/8/93"], 1.0),
        ("JANUARY  8", ["january 8"], 1.0),
        ("1/8/94", ["1/8/93"], 5 / 6),
        ("abcd", ["abxx"], 0.0),  # half is not enough
        ("abcde", ["abcxx"], 0.6),
        ("London", ["Paris", "Londen"], 5 / 6),
        ("", ["Paris"], 0.0),
        ("", [""], 1.0),
        ("Paris", [""], 0.0),
    ],
)
def test_anls(answer, truths, score):
    assert anls(answer, truths) == pytest.approx(score)


@pytest.mark.parametrize(("first", "second", "distance"), [("kitten", "sitting", 3), ("", "abc", 3), ("ab", "ba", 2)])
def test_edit_distance(first, second, distance):
    assert edit_distance(first, second) == edit_distance(second, first) == distance
