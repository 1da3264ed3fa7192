import pytest

from nvlm.recipes.compare.evidence import Evidence, against_baseline, difference, over_seeds, quality


def run(seed: int, *scores: float, variant: str = "d") -> Evidence:
    return Evidence(variant, seed, {"t": {str(number): score for number, score in enumerate(scores)}})


def test_a_question_scores_its_mean_over_the_seeds():
    found = quality([run(0, 1, 1, 0, 0), run(1, 1, 0, 0, 0)], ["t"])
    assert found.seeds == (0.5, 0.25)
    assert (found.score.mean, found.score.n, found.score.interval) == (0.375, 4, "bootstrap")
    assert quality([run(0, 1, 0)], ["t"]).score.interval == "Wilson"
    with pytest.raises(ValueError, match="at least one answer"):
        quality([run(0)], ["t"])


def test_differences_are_taken_over_the_seeds_that_both_have():
    ours, theirs = [run(0, 1, 1), run(1, 1, 0), run(2, 0, 0)], [run(1, 0, 0), run(0, 0, 1)]
    found = difference(ours, theirs, ["t"])
    assert found is not None
    assert found.seeds == (0.5, 0.5)
    assert (found.change.mean, found.change.n) == (0.5, 2)
    assert difference(ours, [run(7, 1, 1)], ["t"]) is None


def test_the_baseline_has_no_seeds():
    found = against_baseline([run(0, 1, 0), run(1, 1, 1)], {"t": {"0": 1.0, "1": 1.0}}, ["t"])
    assert found.seeds == (-0.5, 0.0)
    assert found.change.mean == -0.25


def test_only_questions_that_all_seeds_answered_count():
    assert over_seeds([{"a": 1.0, "b": 0.0}, {"a": 0.0}]) == {"a": 0.5}
    assert over_seeds([]) == {}
