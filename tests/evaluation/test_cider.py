import math

import pytest

from nvlm.evaluation.cider import cider, words


@pytest.mark.parametrize(
    ("caption", "found"),
    [
        ("A man's dog, half-asleep.", ["a", "man", "'s", "dog", "half-asleep"]),
        ("It isn't; they’re (not) here!", ["it", "is", "n't", "they", "'re", "not", "here"]),
        ("3.5 men & $10", ["3.5", "men", "&", "$", "10"]),
        ("", []),
    ],
)
def test_words_are_those_of_the_treebank_without_punctuation(caption, found):
    assert words(caption) == found


def test_the_references_own_words_score_ten():
    references = [["a red dog runs fast"], ["two men repair an old bicycle"], ["the sea is calm today"]]
    assert cider([own[0] for own in references], references) == pytest.approx([10.0] * 3)


def test_a_known_case_by_hand():
    """Two images; "a" is in both, so its weight is 0; the others weigh log 2. Caption and reference share one unigram
    of three and no longer n-gram: unigrams give (1/√2 · 1/√2) = 1/2 … with "a" weightless, lengths equal."""
    scores = cider(["a red dog", "a calm sea"], [["a dog red"], ["a calm sea"]])
    # unigrams red, dog shared: 1; bigrams: "red dog" / "dog red" and "a red" / "a dog" all differ: 0
    assert scores[0] == pytest.approx(10 * 1 / 4)
    assert scores[1] == pytest.approx(10 * 3 / 4)  # three words have no n-gram of four


def test_another_length_is_punished():
    references = [["a red dog runs fast on the sand"], ["the sea is calm today"]]
    short, long = (
        cider(["a red dog runs", "x"], references)[0],
        cider(["a red dog runs fast on the sand", "x"], references)[0],
    )
    assert 0 < short < long


def test_a_repeated_word_is_clipped():
    references = [["a red dog"], ["the calm sea"]]
    once, often = (cider([caption, ""], references)[0] for caption in ("dog is here", "dog dog dog"))
    assert often <= once


@pytest.mark.parametrize("caption", ["", "…", "zzz"])
def test_nothing_shared_is_zero(caption):
    assert cider([caption, "a calm sea"], [["a red dog"], ["the sea"]])[0] == 0.0


def test_one_image_alone_has_no_weights():
    assert cider(["a red dog"], [["a red dog"]]) == [0.0]
    assert cider([], []) == []
    assert math.log(1) == 0


def test_wrong_numbers_are_told():
    with pytest.raises(ValueError, match="2 captions but references for 1"):
        cider(["a", "b"], [["a"]])
    with pytest.raises(ValueError, match="no references"):
        cider(["a"], [[]])
