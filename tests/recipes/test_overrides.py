import pytest

from nvlm.recipes.nano.family import NanoRecipe
from nvlm.recipes.overrides import override


def test_changes_one_nested_value_and_nothing_else():
    recipe = NanoRecipe()
    changed = override(recipe, "sft.steps=50")
    assert changed.sft.steps == 50
    assert changed.pretrain == recipe.pretrain
    assert override(recipe, "pictures = 12").pictures == 12


def test_a_whole_number_is_a_rate_too():
    assert override(NanoRecipe(), "sft.peak_lr=1").sft.peak_lr == 1.0


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("sft.stps=50", "did you mean steps"),
        ("picture=50", "did you mean pictures"),
        ("sft=50", "is a group; set one of sft.name"),
        ("pictures.count=5", "is a single value"),
        ("sft.steps=many", "is not a value like 900"),
        ("sft.steps=1.5", "is a float"),
        ("sft.steps", "takes name=value"),
    ],
)
def test_wrong_assignments_say_what_is_wrong(assignment: str, message: str):
    with pytest.raises(ValueError, match=message):
        override(NanoRecipe(), assignment)
