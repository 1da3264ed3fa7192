from pathlib import Path

import pytest

from nvlm.recipes.nano.stages import NanoRecipe
from nvlm.recipes.overrides import override, override_from_file
from nvlm.recipes.paper_72b import paper_72b


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
        ("sft.steps=many", "is not a value like "),
        ("sft.steps=1.5", "is a float"),
        ("sft.steps", "takes name=value"),
    ],
)
def test_wrong_assignments_say_what_is_wrong(assignment: str, message: str):
    with pytest.raises(ValueError, match=message):
        override(NanoRecipe(), assignment)


def written(folder: Path, text: str) -> Path:
    path = folder / "changes.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_changes_what_it_names(tmp_path: Path):
    text = """
sft:
  steps: 7
  peak_lr: 1e-4        # YAML reads this as text
  betas: [0.9, 1]
  tags.format: none
model.language.values.num_hidden_layers: 40
"""
    recipe = paper_72b("D")
    changed = override_from_file(recipe, written(tmp_path, text))
    assert (changed.sft.steps, changed.sft.peak_lr, changed.sft.betas) == (7, 1e-4, (0.9, 1.0))
    assert changed.sft.tags.format == "none"
    assert changed.model.config().text_config.num_hidden_layers == 40
    assert recipe.model.config().text_config.num_hidden_layers == 80
    assert changed.pretrain == recipe.pretrain


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sft: {stps: 5}", "changes.yaml: the recipe has no 'sft.stps': did you mean steps?"),
        ("model: {language: {values: {hiden_size: 5}}}", "did you mean hidden_size"),
        ("sft: {steps: many}", "sft.steps=many is not a value like 40000"),
        ("sft: {steps: 1.5}", "is a float"),
        ("sft: {betas: [a]}", "sft.betas=a is not a value like 0.9"),
        ("sft: 5", "sft is a group"),
        ("- sft", "holds list, not names and values"),
        ("", "holds nothing"),
        ("sft: [", "is not YAML"),
    ],
)
def test_wrong_files_say_what_is_wrong(tmp_path: Path, text: str, message: str):
    with pytest.raises(ValueError, match=message):
        override_from_file(paper_72b("D"), written(tmp_path, text))


def test_names_on_the_command_line_reach_into_configurations():
    changed = override(paper_72b("X"), "model.language.values.num_hidden_layers=16")
    assert changed.model.config().cross_attention_layers == (7, 15)
    with pytest.raises(ValueError, match="did you mean num_hidden_layers"):
        override(paper_72b("X"), "model.language.values.num_hiden_layers=16")
