import pytest

from nvlm.evaluation.answers import comparable, grade_letter, letters, numbered, option_lines, pick_letter, readings
from nvlm.evaluation.benchmark import Graded

OPTIONS = ["a red hat", "the blue sea", "green", "none of them"]


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("B", "B"),
        ("B.", "B"),
        ("(C)", "C"),
        ("D)", "D"),
        ("The answer is B", "B"),
        ("Answer:C", "C"),
        (r"so \boxed{D} it is", "D"),
        (r"\answer{A}", "A"),
        ("(A) or (B)? I say (B).", "B"),
        ("First A then C", "C"),
        ("b", None),
        ("E", None),
        ("", None),
        ("green", None),  # too short to be read as an option's text
        ("I think that it shows the blue sea", "B"),
        ("it is the blue sea, or a red hat I think", "A"),
        ("Banana", None),
    ],
)
def test_letters_are_read_as_the_benchmark_reads_them(answer, letter):
    assert pick_letter(answer, OPTIONS) == letter


def test_an_unreadable_letter_is_told_and_counts_as_another_where_the_benchmark_wants_that():
    assert grade_letter("no idea", "A", OPTIONS) == Graded(0.0, None)
    assert grade_letter("no idea", "A", OPTIONS, fallback="A") == Graded(1.0, None)
    assert grade_letter("no idea", "B", OPTIONS, fallback="A") == Graded(0.0, None)
    assert grade_letter("B", "B", OPTIONS) == Graded(1.0, "B")
    assert grade_letter("B", None, OPTIONS) == Graded(None, "B")


def test_options_are_named_a_to_z():
    assert option_lines(["x", "y"], "({}) {}") == "(A) x\n(B) y\n"
    assert letters(26)[-1] == "Z"
    for count in (0, 27):
        with pytest.raises(ValueError, match=f"{count} options"):
            letters(count)


@pytest.mark.parametrize(
    ("answer", "holds"),
    [
        ("24/7", "24/7"),
        ("The slope is 3.43.", 3.43),
        ("So it is 1,234.567 m", 1234.0),
        ("x = 5", 5.0),
        ("result 2e3", 2000.0),
        ("Therefore Paris", "paris"),
    ],
)
def test_open_answers_are_read_from_their_short_parts(answer, holds):
    assert holds in readings(answer)


def test_a_lone_character_matches_only_beside_a_space():
    assert comparable("K") == [" k", "k "]
    assert comparable("3.14159") == [3.14]


def test_submission_lists_are_numbered():
    assert numbered("questionId")([("12", "x")]) == [{"questionId": 12, "answer": "x"}]
