"""Scenes told in words: every answer worked out again from the words alone."""

import re

import pytest

from nvlm.data.synthetic.problem import Problem
from nvlm.data.synthetic.scenes import plural
from nvlm.data.synthetic.splits import SPLITS, split_of
from nvlm.data.synthetic.text import TEXT_TASKS
from nvlm.data.synthetic.told import TOLD_TASKS
from nvlm.data.synthetic.words import kinds
from tests.data.synthetic.drawn import asked_relation, problems

PLAIN = {plural(shape): shape for shape in kinds()["shapes"]}


def told(problem: Problem) -> tuple[str, list[str]]:
    """The words of a problem, and its questions without them."""
    words, question = problem.turns[0].question.split("\n")
    return words, [question, *(turn.question for turn in problem.turns[1:])]


def test_yes_or_no_follows_from_the_sentence_that_the_answer_repeats():
    seen = set()
    for problem in problems("told_relation", "test"):
        words, questions = told(problem)
        sentence = re.fullmatch(r"an? (\w+ \w+) (left of|above) an? (\w+ \w+)", words)
        assert sentence
        for question, turn in zip(questions, problem.turns, strict=True):
            true = "yes" if sentence.groups() == asked_relation(question) else "no"
            assert turn.answer == f"{words}: {true}"
            seen.add((re.findall(r"left of|right of|above|below", question)[0], true))
    assert len(seen) == 8


def test_counts_are_those_of_the_list():
    counted = set()
    for problem in problems("told_count", "test"):
        words, questions = told(problem)
        things = [thing.split() for thing in words.split(", ")]
        for question, turn in zip(questions, problem.turns, strict=True):
            asked = re.fullmatch(r"How many (\w+)( shapes)? are there\?", question)
            assert asked
            wanted = asked[1] if asked[2] else PLAIN[asked[1]]
            assert turn.answer == str(sum(wanted in thing for thing in things))
            counted.add(int(turn.answer))
        assert len(questions) == len({colour for colour, _ in things}) + len({shape for _, shape in things})
    assert counted == set(range(1, 10))


@pytest.mark.parametrize("split", SPLITS)
def test_pairs_of_things_are_told_in_the_split_in_which_they_are_drawn(split):
    for problem in problems("told_relation", split):
        things = re.findall(r"an? (\w+ \w+)(?: left of| above|$)", told(problem)[0])
        assert split_of(f"scene {sorted(things)}") == split


def test_they_are_not_among_the_tasks_of_the_language_model():
    """Which is trained, and asked, without them; half of the text-only rows that have them are of its own tasks."""
    assert not set(TOLD_TASKS) & set(TEXT_TASKS)
    assert sum(weight for _, weight in TOLD_TASKS.values()) == sum(weight for _, weight in TEXT_TASKS.values())
