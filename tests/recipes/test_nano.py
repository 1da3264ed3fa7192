"""The nano recipe from end to end at a size of seconds, and its exact resume."""

import re
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from nvlm.inference import ask_batch
from nvlm.modeling.model import NVLMForConditionalGeneration
from nvlm.recipes.nano import family
from nvlm.recipes.nano.batches import MixedBatches
from nvlm.recipes.nano.build import build_variant
from nvlm.recipes.nano.family import NanoRun
from nvlm.recipes.nano.language import TextBatches, build_processor
from nvlm.recipes.nano.phases import phases
from nvlm.recipes.nano.pictures import draw_sample, marks_of, open_pictures, picture
from nvlm.recipes.nano.sizes import MAX_TILES
from nvlm.recipes.nano.variant import Variant
from nvlm.training.loop import Interrupted
from tests.recipes.tiny_nano import losses, perfect, tiny_recipe


@pytest.fixture(scope="module")
def run(tiny_backbones: Path, tmp_path_factory: pytest.TempPathFactory) -> NanoRun:
    """A run whose backbones and pictures are made."""
    folder = shutil.copytree(tiny_backbones, tmp_path_factory.mktemp("nano") / "run")
    nano = NanoRun(tiny_recipe(), folder, say=lambda line: None)
    nano.pictures(nano.backbones().encoder)
    return nano


@pytest.mark.parametrize("architecture", ["D", "X", "H"])
def test_each_architecture_is_made_from_the_same_backbones(
    run: NanoRun, architecture: str, monkeypatch: pytest.MonkeyPatch
):
    if architecture == "H":  # one of them answers the questions in earnest, with one token each
        monkeypatch.setattr(family, "ask_batch", partial(ask_batch, max_new_tokens=1))
    else:
        monkeypatch.setattr(family, "run_suite", perfect)
    folder = run.make(architecture)
    model = NVLMForConditionalGeneration.from_pretrained(folder)
    encoder = run.backbones().encoder.state_dict()
    for name, tensor in model.vision_model.state_dict().items():
        torch.testing.assert_close(tensor.float(), encoder[name].bfloat16().float(), rtol=0, atol=0)
    assert len(losses(run.folder / architecture.lower() / "sft")) == 3
    card = (folder / "README.md").read_text()
    assert f"nvlm train nano --arch {architecture.lower()}" in card
    assert "| alignment: connector | 2 x 4 |" in card
    assert "| SFT: the new parts and the language model | 3 x 6 |" in card
    assert "| SFT, answers with evidence | 2 x 6 |" in card
    assert "| SFT, and scenes told in words | 2 x 6 |" in card
    assert "| chart/value | " in card
    with pytest.raises(FileExistsError, match="--resume"):  # a second run
        run.make(architecture)


def test_another_recipe_in_the_same_folder_is_refused(run: NanoRun):
    with pytest.raises(ValueError, match=r"another recipe .*pictures"):
        NanoRun(replace(tiny_recipe(), pictures=25), run.folder)


def test_features_of_another_encoder_are_refused(run: NanoRun):
    encoder = run.backbones().encoder
    with torch.no_grad():
        next(encoder.parameters()).add_(1.0)
    with pytest.raises(ValueError, match="another encoder"):
        run.pictures(encoder)


def test_all_architectures_see_the_same_samples_in_the_same_order(run: NanoRun):
    pictures = run.pictures(run.backbones().encoder)
    supervised = []
    for architecture in ("D", "X", "H"):
        batches = MixedBatches(build_processor(architecture), pictures, batch=6, text=2, seed=0)
        parts = [part for step in range(8) for part in batches(step)]
        seen = torch.cat([part["labels"][part["labels"] != -100].sort().values for part in parts]).sort().values
        supervised.append(seen)
    assert torch.equal(supervised[0], supervised[1])
    assert torch.equal(supervised[0], supervised[2])


@pytest.mark.parametrize("max_tiles", [1, MAX_TILES])
def test_a_batch_holds_the_features_of_its_pictures(run: NanoRun, max_tiles: int):
    """Those of the thumbnails alone at low resolution; what image tokens show belongs to the same views."""
    encoder = run.backbones().encoder
    processor = build_processor("D", max_tiles=max_tiles)
    parts = MixedBatches(processor, run.pictures(encoder), batch=6, text=2, seed=0)(1)
    images = [image for number in range(4, 8) for image in draw_sample(number)[1]]  # the second step's four
    pixels = [processor.image_processor(image, return_tensors="pt")["pixel_values"] for image in images]
    with torch.inference_mode():
        fresh = encoder(torch.cat(pixels)).last_hidden_state[:, 1:]
    found = torch.cat([part["image_features"] for part in parts])
    torch.testing.assert_close(found, fresh, rtol=2e-3, atol=2e-3)  # stored in half precision
    assert sum(len(part["shown_tokens"]) for part in parts) == len(found)
    assert sum(part["share"] for part in parts) == 1
    assert sum(part["accounting"]["text"]["samples"] for part in parts if "text" in part["accounting"]) == 2


def test_answers_stand_after_their_evidence_where_a_stage_says_so(run: NanoRun):
    """The same pictures and questions, and text-only rows as they are."""
    pictures, tokenizer = run.pictures(run.backbones().encoder), build_processor("D").tokenizer

    def answers(explain: bool) -> list[str]:
        batches = MixedBatches(build_processor("D"), pictures, batch=26, text=2, seed=0, explain=explain)
        rows = [part["labels"][0] for part in batches(0)]
        ends = tokenizer.eos_token_id
        return "".join(tokenizer.decode(row[row != -100]) for row in rows).split(tokenizer.decode([ends]))

    plain, explained = sorted(answers(explain=False)), sorted(answers(explain=True))
    expected = [turn.explained for number in range(24) for turn in picture(number).turns]
    assert len(plain) == len(explained)
    assert not [turn for turn in expected if turn.replace(" ", "") not in "".join(explained).replace(" ", "")]
    assert sum(": " in answer for answer in plain) == 0 < sum(": " in answer for answer in explained)


def test_scenes_are_told_in_words_in_the_last_stage_alone(run: NanoRun):
    backbones, variant = run.backbones(), Variant("D")
    model, processor = build_variant(variant, backbones.encoder, backbones.language)
    told = {}
    for phase in phases(run.recipe, variant, model, processor, run.pictures(backbones.encoder)):
        rows = torch.cat([part["input_ids"][0] for step in range(20) for part in phase.batches(step)])
        sentences = re.findall(r"user\nan? \w+ \w+ (?:left of|above)", processor.tokenizer.decode(rows))
        told[phase.name] = len(sentences)
    assert told.pop("conclude") > 0
    assert list(told.values()) == [0, 0, 0, 0]


def test_a_stored_picture_remembers_what_it_shows(run: NanoRun):
    drawing = picture(5).drawing
    assert drawing is not None and drawing.marks
    assert marks_of(run.pictures(run.backbones().encoder).samples[5]) == drawing.marks


def test_a_recipe_with_fewer_pictures_uses_the_first_ones(run: NanoRun):
    """Whatever else a folder holds."""
    encoder = run.backbones().encoder
    few = open_pictures(run.folder / "pictures", encoder, 8, say=lambda line: None)
    assert (len(few), len(few.samples)) == (8, 24)
    batches = MixedBatches(build_processor("D"), few, batch=8, text=0, seed=0)
    first = torch.cat([part["labels"].flatten().sort().values for part in batches(0)])
    second = torch.cat([part["labels"].flatten().sort().values for part in batches(1)])
    assert torch.equal(first.sort().values, second.sort().values)  # the same eight, in another order


def test_the_same_step_gives_the_same_text_batch():
    batches = TextBatches(build_processor("D"), batch=4)
    later = batches(20)[0]["input_ids"]
    batches(3)
    assert torch.equal(batches(20)[0]["input_ids"], later)


def test_interrupted_and_resumed_equals_uninterrupted(run: NanoRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(family, "run_suite", perfect)
    whole = run.make("X", resume=True)  # from the start, or what is there
    begun = shutil.copytree(run.folder, tmp_path / "other", ignore=shutil.ignore_patterns("d", "x", "h", "nano-[dxh]"))
    other = NanoRun(tiny_recipe(), begun, say=lambda line: None)
    plain = family.train

    def stop_in_sft(stage, *args, **kwargs):
        plain(stage, *args, **kwargs, stop_after=2 if stage.name.endswith("sft") else None)

    monkeypatch.setattr(family, "train", stop_in_sft)
    with pytest.raises(Interrupted, match="after step 2 of 3"):
        other.make("X")
    monkeypatch.setattr(family, "train", plain)
    resumed = other.make("X", resume=True)
    assert resumed == begun / "nano-x"
    assert losses(begun / "x" / "sft") == losses(run.folder / "x" / "sft")
    assert (resumed / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
