"""Tables 10 and 11 of the paper, written down a second time, and what the released scripts change."""

from dataclasses import replace

import pytest

from nvlm.planning.layouts import skeleton
from nvlm.planning.parameters import choose_learning, count_parameters
from nvlm.recipes.known import RECIPES, find_recipe
from nvlm.recipes.paper_34b import paper_34b, paper_34b_released
from nvlm.recipes.paper_72b import paper_72b, paper_72b_released
from nvlm.recipes.recipe import ImageStage, Recipe

PAPER = {"34B": paper_34b, "72B": paper_72b}
# batch, peak and final rate, warm-up, betas, decay, clip, length, tiles, TP, PP, steps
TABLE_10 = {
    "D": (2048, 1e-4, 2.5e-5, 500, (0.9, 0.95), 0.1, 10.0, 512, 1, 8, 1, 20_000),
    "X": (2048, 1e-4, 1e-5, 1000, (0.9, 0.95), 0.05, 1.0, 512, 1, 8, 1, 20_000),
    "H": (2048, 1e-4, 1e-5, 1000, (0.9, 0.98), 0.05, 1.0, 512, 6, 8, 1, 20_000),
}
TABLE_11 = {
    ("D", "34B"): (128, 2e-6, 2.5e-7, 1000, (0.9, 0.98), 0.1, 10.0, 3200, 6, 8, 4, 40_000),
    ("D", "72B"): (128, 2e-6, 2.5e-7, 1000, (0.9, 0.98), 0.1, 10.0, 3200, 6, 8, 4, 40_000),
    ("X", "34B"): (512, 1e-5, 1e-6, 500, (0.9, 0.98), 0.05, 1.0, 1024, 6, 8, 1, 20_000),
    ("X", "72B"): (256, 1e-5, 1e-7, 500, (0.9, 0.98), 0.05, 1.0, 1024, 6, 8, 1, 20_000),
    ("H", "34B"): (256, 1e-5, 1e-7, 1000, (0.9, 0.98), 0.05, 1.0, 1280, 6, 8, 1, 40_000),
    ("H", "72B"): (256, 1e-5, 1e-7, 1000, (0.9, 0.98), 0.05, 1.0, 1280, 6, 8, 1, 40_000),
}
LEARNING = {
    "pretrain": {"D": {"connector"}, "X": {"connector", "cross-attention"}, "H": {"connector", "cross-attention"}},
    "sft": {
        "D": {"connector", "embeddings", "decoder layers", "head"},
        "X": {"connector", "embeddings", "decoder layers", "head", "cross-attention"},
        "H": {"connector", "embeddings", "decoder layers", "head", "cross-attention"},
    },
}


def row(stage: ImageStage) -> tuple[object, ...]:
    return (
        *(stage.batch, stage.peak_lr, stage.final_lr, stage.warmup, stage.betas, stage.weight_decay, stage.clip),
        *(stage.length, stage.max_tiles, stage.tensor_parallel, stage.pipeline_parallel, stage.steps),
    )


@pytest.mark.parametrize("size", PAPER)
@pytest.mark.parametrize("architecture", ["D", "X", "H"])
def test_every_number_of_the_tables(architecture: str, size: str):
    recipe = PAPER[size](architecture)
    assert row(recipe.pretrain) == TABLE_10[architecture]
    assert row(recipe.sft) == TABLE_11[architecture, size]
    assert (recipe.pretrain.matrix_lr, recipe.sft.matrix_lr) == (0, 0)  # AdamW alone
    assert (recipe.pretrain.steady, recipe.sft.steady) == (0, 0)  # cosine after the warm-up


@pytest.mark.parametrize("size", PAPER)
@pytest.mark.parametrize("architecture", ["D", "X", "H"])
def test_what_learns_and_where_cross_attention_stands(architecture: str, size: str):
    recipe = PAPER[size](architecture)
    model = skeleton(recipe.model.config())
    assert len(model.config.cross_attention_layers) == (0 if architecture == "D" else 10)
    assert model.config.tokens_per_view == 256
    for stage in recipe.stages:
        choose_learning(model, stage.trainable)
        parts = count_parameters(model)
        learning = {part for part, count in parts.items() if count.learning}
        assert learning == LEARNING[stage.name][architecture]
        assert all(parts[part].learning == parts[part].total for part in learning)


def test_tags():
    """One tile is a plain resize without tags; the thumbnail's tag follows the tokenizer."""
    assert [paper_72b(name).pretrain.tags.format for name in "DXH"] == ["none", "none", "1d"]
    assert paper_72b("D").sft.tags.thumbnail == "<tile_global_thumbnail>"
    assert paper_34b("D").sft.tags.thumbnail == "<tile_global>"


def differences(one: ImageStage, other: ImageStage) -> dict[str, object]:
    return {name: value for name, value in vars(other).items() if value != getattr(one, name)}


def test_what_the_released_scripts_change():
    paper, released = paper_72b("D"), paper_72b_released("D")
    assert differences(paper.pretrain, released.pretrain) == {"warmup": 41, "horizon": 12_500}
    assert differences(paper.sft, released.sft) == {
        "batch": 256,
        "warmup": 325,
        "horizon": 100_000,
        "betas": (0.9, 0.95),
    }
    assert released.model.config().text_config.initializer_range == 0.014
    smaller = paper_34b_released("D")
    assert differences(paper_34b("D").pretrain, smaller.pretrain) == {"warmup": 41, "horizon": 12_500}
    assert differences(paper_34b("D").sft, smaller.sft) == {"warmup": 650, "horizon": 200_000, "betas": (0.9, 0.95)}


@pytest.mark.parametrize("recipe", [paper_72b_released, paper_34b_released])
def test_nobody_released_x_and_h(recipe):
    with pytest.raises(
        ValueError, match=r"released for NVLM-D only, not for NVLM-X: take paper_\d\db, or architecture D$"
    ):
        recipe("X")


def position(recipe: Recipe, step: int) -> float:
    """How far up SFT's rate is, between the final rate (0) and the peak (1)."""
    floor = recipe.sft.final_lr / recipe.sft.peak_lr
    return (recipe.sft.rate(step) - floor) / (1 - floor)


def test_a_cosine_may_end_before_the_stage_or_after_it():
    assert position(paper_72b("D"), 40_000) == pytest.approx(0)
    assert position(paper_72b_released("D"), 40_000) == pytest.approx(0.66, abs=0.01)
    assert position(paper_34b_released("D"), 40_000) == pytest.approx(0.91, abs=0.01)
    early = paper_72b_released("D").pretrain
    assert early.rate(12_500) == early.rate(19_999) == pytest.approx(0.25)
    assert early.rate(12_000) > 0.25


def test_recipes_have_the_names_of_their_functions():
    for name, make in RECIPES.items():
        assert make.__name__ == name == find_recipe(name, "D").name


def test_an_unknown_recipe_or_architecture_is_told():
    with pytest.raises(ValueError, match="no recipe 'paper-72b': did you mean paper_72b"):
        find_recipe("paper-72b", "D")
    with pytest.raises(ValueError, match="unknown architecture 'Q'"):
        find_recipe("paper_72b", "Q")


def test_stages_are_derived_with_replace():
    longer = replace(paper_72b("D").sft, steps=80_000)
    assert isinstance(longer, ImageStage)
    assert longer.rate(60_000) > paper_72b("D").sft.rate(40_000)
