from collections import Counter

import pytest

from nvlm.data import prompts


def test_an_id_always_gets_the_same_wording_and_all_wordings_are_used() -> None:
    asked = [prompts.caption("sft", f"coco/{number}") for number in range(1000)]
    assert asked == [prompts.caption("sft", f"coco/{number}") for number in range(1000)]
    counts = Counter(asked)
    assert set(counts) == set(prompts.CAPTION["sft"])
    assert min(counts.values()) > 150  # of 1,000 about 200 each


def test_short_answers_are_asked_as_the_released_code_asks_them() -> None:
    ways = {prompts.short_answer("Q?", "pretrain", str(number)) for number in range(20)}
    assert ways == {"Question: Q? Short answer:", "Question: Q? Answer:"}
    ways = {prompts.short_answer("Q?", "sft", str(number)) for number in range(20)}
    assert ways == {"Q?", "Q?\nAnswer the question using a single word or phrase."}


@pytest.mark.parametrize("count", [0, 1, 27])
def test_choices_need_letters(count: int) -> None:
    with pytest.raises(ValueError, match=f"has {count} choices"):
        prompts.letters("Q?", ["x"] * count)


def test_nothing_to_pick_from() -> None:
    with pytest.raises(ValueError, match="list of answers empty"):
        prompts.pick([], "1")


def test_regions_stay_below_one_thousand() -> None:
    assert prompts.box([-5, 0, 200, 100], 200, 100) == "<box>(0,0),(999,999)</box>"
    with pytest.raises(ValueError, match="0 pixels"):
        prompts.box([0, 0, 1, 1], 0, 100)


def test_braces_in_a_question_are_left_alone() -> None:
    assert "{x}" in prompts.short_answer("What is {x}?", "pretrain", "1")
    assert "{x}" in prompts.letters("What is {x}?", ["{1}", "{2}"])
