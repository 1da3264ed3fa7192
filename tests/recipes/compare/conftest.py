"""Backbones of a few steps, made once for all tests of comparisons."""

from dataclasses import replace
from pathlib import Path

import pytest

from nvlm.recipes.nano.family import NanoRun
from nvlm.recipes.nano.stages import NanoRecipe


@pytest.fixture(scope="session")
def backbones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with finished backbones, features included."""
    recipe = NanoRecipe(pictures=12, text_rows=1, questions=1)
    recipe = replace(
        recipe,
        vision=replace(recipe.vision, steps=1, batch=2),
        naming=replace(recipe.naming, steps=1, batch=2),
        language=replace(recipe.language, steps=1, batch=2),
        align=replace(recipe.align, steps=2, batch=2),
        pretrain=replace(recipe.pretrain, steps=2, batch=2),
        sft=replace(recipe.sft, steps=3, batch=3),
    )
    folder = tmp_path_factory.mktemp("backbones")
    run = NanoRun(recipe, folder, say=lambda line: None)
    run.features(run.make_backbones().encoder)
    return folder
