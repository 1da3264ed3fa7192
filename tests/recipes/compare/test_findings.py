import pytest

from nvlm.recipes.compare.evidence import Evidence
from nvlm.recipes.compare.findings import Found, findings
from nvlm.recipes.compare.pools import PICTURES, TEXT_ONLY, TEXT_RICH
from nvlm.recipes.compare.variants import SETS

QUESTIONS = 60
SKILL = {
    "d": (0.8, 0.9), "x": (0.6, 0.9), "h": (0.7, 0.9), "d-low-res": (0.2, 0.9), "x-low-res": (0.2, 0.9),
    "d-no-tags": (0.4, 0.9), "x-no-tags": (0.4, 0.9), "d-2d-grid": (0.6, 0.9), "d-2d-box": (0.6, 0.9),
    "x-frozen": (0.5, 0.9), "d-no-text": (0.8, 0.5), "x-no-text": (0.6, 0.5), "h-no-text": (0.7, 0.5),
}  # fmt: skip
"""Shares of pictures and of text-only questions that are right, as the paper would have it."""


def runs(skill: dict[str, tuple[float, float]], seeds: int = 2) -> dict[str, list[Evidence]]:
    return {name: [Evidence(name, seed, scores(*skill[name])) for seed in range(seeds)] for name in skill}


def scores(pictures: float, texts: float) -> dict[str, dict[str, float]]:
    """The easiest questions are right, the same ones for everybody."""
    right = dict.fromkeys(PICTURES, pictures) | dict.fromkeys(TEXT_ONLY, texts)
    return {
        task: {str(number): float(number < share * QUESTIONS) for number in range(QUESTIONS)}
        for task, share in right.items()
    }


def verdicts(found: Found) -> list[str]:
    return [each.verdict for each in findings(found)]


STEPS = {"d": [0.3] * 12, "x": [0.1] * 12, "h": [0.2] * 12}


def test_where_everything_is_as_in_the_paper_every_finding_holds():
    assert set(verdicts(Found(runs(SKILL), scores(0, 0.9), STEPS))) == {"holds"}


def test_where_everything_is_the_other_way_round_none_does():
    other = {name: (1 - pictures, 1.4 - texts) for name, (pictures, texts) in SKILL.items()}
    turned = {name: [1 / value for value in values] for name, values in STEPS.items()}
    assert set(verdicts(Found(runs(other), scores(0, 1.0), turned))) == {"does not hold"}


def test_with_one_seed_only_speed_can_be_told():
    told = [each for each in findings(Found(runs(SKILL, seeds=1), scores(0, 0.9), STEPS)) if each.verdict == "holds"]
    assert [each.source for each in told] == ["table 3"]


def test_what_was_not_trained_or_measured_cannot_be_told():
    found = findings(Found({}, {}, {}))
    assert {each.verdict for each in found} == {"cannot tell"}
    assert {line.numbers for each in found for line in each.lines} == {"not measured in this comparison"}


def test_every_variant_that_a_finding_names_is_in_a_set():
    named = {word for each in findings(Found({}, {}, {})) for line in each.lines for word in line.what.split()}
    variants = {word for word in named if word[0] in "dxh" and (len(word) == 1 or word[1] == "-")}
    assert variants <= set(SETS["all"])
    assert len(variants) == 13


@pytest.mark.parametrize(
    ("claim", "numbers"),
    [
        ("Tiles beat", "D 34B: ChartQA 64.8 → 81.1, DocVQA 52.9 → 87.4"),
        ("X trains fastest", "samples/s: NVLM-X 34B 50.6, NVLM-H 34B 36.2, NVLM-D 34B 28.8"),
        ("D is best", "DocVQA: 92.6 / 82.9 / 83.1"),
        ("Training the language model", "X 72B: MathVista 60.6 → 64.6"),
        ("With text-only data", "NVLM-D 72B +4.3, NVLM-X 72B +2.5, NVLM-H 72B +2.7"),
    ],
)
def test_the_papers_numbers_stand_beside(claim: str, numbers: str):
    found = next(each for each in findings(Found({}, {}, {})) if each.claim.startswith(claim))
    assert numbers in found.published


def test_the_pools_are_disjoint_and_whole():
    assert set(TEXT_RICH) < set(PICTURES)
    assert not set(PICTURES) & set(TEXT_ONLY)
    assert {"chart/sum", "receipt/date", "read/page"} <= set(TEXT_RICH)
    assert "scene/count" not in TEXT_RICH
