"""How two engines' answers are held against each other, without vLLM."""

import math
from dataclasses import replace

import pytest
from benchmarks.interop.compare import TOLERANCE, Answer, compare, find_splits

JOINED = {29: (7, 8)}  # our one token for `>` and a newline, and vLLM's two
ANSWER = Answer(prompt_ids=[1, 5, 29, 6], tokens=[3, 4], first=[-1.0, -2.0, -3.0], margins=[0.5, 0.5])
SPLIT = replace(ANSWER, prompt_ids=[1, 5, 7, 8, 6])


def test_the_same_answer_has_no_faults() -> None:
    verdict = compare("case", ANSWER, ANSWER, ANSWER, images=1, joined=JOINED, pixel_difference=0.0)
    assert verdict.faults == ()
    assert (verdict.prompt, verdict.diverged_at, verdict.logprob_difference) == ("same", None, 0)
    assert verdict.own_prompt_agrees


def test_one_split_newline_per_image_is_explained() -> None:
    other = replace(ANSWER, tokens=[9])
    verdict = compare("case", SPLIT, other, SPLIT, images=1, joined=JOINED)
    assert verdict.prompt == "newline"
    assert not verdict.own_prompt_agrees  # reported, and no fault: the prompts are not the same
    assert verdict.faults == ()


@pytest.mark.parametrize("images", [0, 2])
def test_as_many_splits_as_images_and_no_other_number(images: int) -> None:
    (fault,) = compare("case", SPLIT, ANSWER, SPLIT, images=images, joined=JOINED).faults
    assert "prompt ids differ" in fault


@pytest.mark.parametrize(
    ("own", "theirs", "splits"),
    [
        ([1, 29, 2, 29], [1, 7, 8, 2, 7, 8], [1, 3]),
        ([1, 29, 2, 29], [1, 29, 2, 7, 8], [3]),
        ([1, 29], [1, 7], None),  # half of it
        ([1, 29], [1, 7, 9], None),
        ([1, 2], [1, 2, 3], None),  # longer
        ([1, 2, 3], [1, 2], None),  # shorter
        ([7, 8], [29], None),  # only this way round
        ([], [], []),
    ],
)
def test_find_splits(own: list[int], theirs: list[int], splits: list[int] | None) -> None:
    assert find_splits(own, theirs, JOINED) == splits


@pytest.mark.parametrize("shift", [0.9 * TOLERANCE, -0.9 * TOLERANCE])
def test_log_probabilities_may_differ_by_the_tolerance(shift: float) -> None:
    ours = replace(ANSWER, first=[-1.0, -2.0 + shift, -3.0])
    verdict = compare("case", ANSWER, ours, ours, images=1, joined=JOINED)
    assert verdict.faults == ()
    assert verdict.logprob_difference == pytest.approx(abs(shift))


@pytest.mark.parametrize(
    "first", [[-1.0, -2.0, -3.0 - 1.1 * TOLERANCE], [-1.0, math.nan, -3.0], [-1.0, -2.0], [-1.0, -2.0, -math.inf]]
)
def test_log_probabilities_must_not_differ_by_more_or_be_missing(first: list[float]) -> None:
    ours = replace(ANSWER, first=first)
    (fault,) = compare("case", ANSWER, ours, ours, images=1, joined=JOINED).faults
    assert "log-probability" in fault


def test_another_token_is_a_fault_where_the_choice_was_clear() -> None:
    ours = replace(ANSWER, tokens=[3, 9])
    verdict = compare("case", ANSWER, ours, ours, images=1, joined=JOINED)
    assert (verdict.diverged_at, verdict.margin) == (1, 0.5)
    assert "token 1 differs" in verdict.faults[0]


def test_another_token_is_none_at_a_near_tie() -> None:
    ours = replace(ANSWER, tokens=[3, 9], margins=[0.5, TOLERANCE])
    verdict = compare("case", ANSWER, ours, ours, images=1, joined=JOINED)
    assert (verdict.diverged_at, verdict.faults) == (1, ())


@pytest.mark.parametrize("tokens", [[3], [3, 4, 5]])
def test_an_answer_of_another_length_differs_at_its_end(tokens: list[int]) -> None:
    ours = replace(ANSWER, tokens=tokens, margins=[0.5] * len(tokens))
    verdict = compare("case", ANSWER, ours, ours, images=1, joined=JOINED)
    assert verdict.diverged_at == min(len(tokens), 2)
    assert len(verdict.faults) == 1


@pytest.mark.parametrize("difference", [1e-6, math.inf])
def test_pixels_must_be_the_same_bits(difference: float) -> None:
    (fault,) = compare("case", ANSWER, ANSWER, ANSWER, images=1, joined=JOINED, pixel_difference=difference).faults
    assert "pixels" in fault
