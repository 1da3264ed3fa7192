"""Backbones as model folders: what is read, what is refused, and which ones a run takes."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoModelForCausalLM

from nvlm.inference.load import MODELS
from nvlm.recipes.nano.backbone_cards import TEXT_ONLY
from nvlm.recipes.nano.backbones import ENCODER, LANGUAGE, differences, read_backbones
from nvlm.recipes.nano.family import NanoRun
from nvlm.recipes.nano.stages import NanoRecipe
from tests.recipes.tiny_nano import tiny_recipe


@pytest.fixture
def made(tiny_backbones: Path) -> NanoRun:
    return NanoRun(tiny_recipe(), tiny_backbones, say=lambda line: None)


def test_both_are_plain_transformers_models(made: NanoRun):
    read = read_backbones(made.folder)
    for loaded, name, kind in ((read.encoder, ENCODER, AutoModel), (read.language, LANGUAGE, AutoModelForCausalLM)):
        plain = kind.from_pretrained(made.folder / name, dtype=torch.float32)
        assert type(plain) is type(loaded)
        for key, value in plain.state_dict().items():
            assert torch.equal(value, loaded.state_dict()[key])


def test_they_know_what_made_them(made: NanoRun):
    read = read_backbones(made.folder)
    assert [(stage.steps, stage.rows) for stage in read.stages] == [(2, 2), (2, 2), (2, 4)]
    assert differences(made.recipe, made.folder) == []
    other = replace(made.recipe, naming=replace(made.recipe.naming, steps=3))
    assert differences(other, made.folder) == ["naming"]


def test_their_cards_name_stages_and_scores(made: NanoRun):
    encoder, language = ((made.folder / name / "README.md").read_text() for name in (ENCODER, LANGUAGE))
    assert "| vision encoder, dense labels | 2 x 2 |" in encoder and "named right in\n1 pictures" in encoder
    assert "| language model, text only | 2 x 4 |" in language
    assert all(f"| {task} | " in language for task in TEXT_ONLY)
    assert set(json.loads((made.folder / LANGUAGE / "scores.json").read_text())) == set(TEXT_ONLY)


def test_finished_ones_are_left_alone(made: NanoRun):
    before = {path: path.stat().st_mtime_ns for path in made.folder.rglob("*") if path.is_file()}
    made.make_backbones()
    assert {path: path.stat().st_mtime_ns for path in made.folder.rglob("*") if path.is_file()} == before


def test_a_folder_without_finished_ones_is_refused(made: NanoRun, tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="no finished backbone"):
        read_backbones(tmp_path)
    assert differences(made.recipe, tmp_path) == ["vision", "naming", "language"]


def test_the_shipped_ones_are_what_the_recipe_makes_and_a_run_begins_with_them(tmp_path: Path):
    assert differences(NanoRecipe()) == []
    found = NanoRun(NanoRecipe(), tmp_path, say=lambda line: None).backbones()
    assert found.folder == MODELS
    assert not any(parameter.isnan().any() for parameter in found.encoder.parameters())
    assert "named right in\n500 pictures" in (MODELS / ENCODER / "README.md").read_text(encoding="utf-8")
    assert "n = 500" in (MODELS / LANGUAGE / "README.md").read_text(encoding="utf-8")


def test_a_run_with_a_recipe_of_its_own_makes_its_own(made: NanoRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    news: list[str] = []
    monkeypatch.setattr(NanoRun, "make_backbones", lambda run: read_backbones(made.folder))
    assert NanoRun(tiny_recipe(), tmp_path, say=news.append).backbones().folder == made.folder
    assert "another vision, naming, language" in news[0]
