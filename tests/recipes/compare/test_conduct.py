"""Whole comparisons of a few steps: from the backbones to the report, stopped and resumed."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nvlm.evaluation.nano_suite import NANO
from nvlm.inference import load
from nvlm.recipes.compare import conduct as conducting
from nvlm.recipes.compare import estimate as estimating
from nvlm.recipes.compare import make as making
from nvlm.recipes.compare import speeds as measuring
from nvlm.recipes.compare.backbones import Shared, open_backbones
from nvlm.recipes.compare.conduct import conduct
from nvlm.recipes.compare.study import Study
from nvlm.recipes.compare.variants import find_variant
from nvlm.training.loop import Interrupted
from tests.recipes.compare.small import SMALL


def study_of(backbones: Path, folder: Path, *names: str, seeds: int = 1) -> Study:
    return Study(SMALL, names, seeds, 1, 1, backbones, folder)


def hurry(patch: pytest.MonkeyPatch) -> None:
    """Answers of one token, estimates from one step, and no processes for measuring memory."""
    short = {name: replace(benchmark, max_new_tokens=1) for name, benchmark in NANO.items()}
    patch.setattr(making, "NANO", short)
    patch.setattr(measuring, "peak_memory", lambda shared, variant: 100.0)
    for name in ("STEPS", "ASKED", "LENGTH", "PICTURES"):
        patch.setattr(estimating, name, 1)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


@pytest.fixture(scope="module")
def finished(backbones: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A comparison that went through."""
    study = study_of(backbones, tmp_path_factory.mktemp("compare") / "out", "d", "x-low-res")
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        conduct(study, "nvlm compare nano", say=lambda line: None, rounds=1)
    return study


def test_everything_comes_to_stand_in_its_folder(finished: Study):
    folder = finished.folder
    for name in ("d", "x-low-res"):
        for kept in ("align", "pretrain", "sft", "model", "answers/text/copy.jsonl", "run.json"):
            assert (folder / name / "seed-0" / kept).exists()
    held = json.loads((folder / "compare.json").read_text())
    assert [each["name"] for each in held["variants"]] == ["d", "x-low-res"]
    assert held["missing"] == []
    d, x = held["variants"]
    assert d["cost"]["step"]["n"] == 1 and d["cost"]["memory"] == 100.0
    assert d["quality"]["all picture tasks"]["score"]["n"] == 34
    assert d["text_change"]["change"]["n"] == 5
    assert [len(d["curves"][stage]["0"]) for stage in ("align", "pretrain", "sft")] == [2, 2, 3]
    assert [layer for layer, _ in x["gates"]["0"]] == ["layer 1", "layer 2", "layer 3", "layer 4"] and d["gates"] == {}
    assert x["parameters"]["connector"][0] == x["parameters"]["connector"][1] > 0
    assert x["parameters"]["vision encoder"][1] == 0
    assert [each["decoder"] for each in x["lengths"]] == [17] * 4
    assert [each["decoder"] for each in d["lengths"]] == [33, 67, 101, 135]
    assert "data:image/png" in (folder / "compare.html").read_text()
    assert "# D compared: the nano family" in (folder / "compare.md").read_text()


def test_a_second_run_only_writes_the_report_again(finished: Study, monkeypatch: pytest.MonkeyPatch):
    def never(*args, **kwargs):
        raise AssertionError("there was nothing to do")

    monkeypatch.setattr(conducting, "make", never)
    monkeypatch.setattr(measuring, "measure", never)
    report = finished.folder / "compare.json"
    kept = finished.folder / "d/seed-0/run.json"
    before, noted = report.read_text(), kept.stat().st_mtime_ns
    report.unlink()
    said: list[str] = []
    conduct(finished, "nvlm compare nano", say=said.append)
    assert "2 models, 2 of them finished; 1 questions a task" in said
    assert report.read_text() == before
    assert kept.stat().st_mtime_ns == noted


def test_it_goes_on_elsewhere_with_two_kinds_of_files(finished: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    study = replace(finished, folder=tmp_path / "out")
    for kept in [finished.folder / "study.json", *finished.folder.glob("*/seed-*/run.json")]:
        (study.folder / kept.relative_to(finished.folder)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(kept, study.folder / kept.relative_to(finished.folder))
    plain, made = conducting.make, []
    monkeypatch.setattr(conducting, "make", lambda planned, *rest: made.append(planned.title) or plain(planned, *rest))
    conduct(replace(study, names=("d", "x-low-res")), "nvlm compare nano", say=lambda line: None, rounds=1)
    assert not study.pictures.exists()  # nothing is left to train, and speed takes its own few pictures
    conduct(replace(study, names=("d", "x-low-res", "h")), "nvlm compare nano", say=lambda line: None, rounds=1)
    assert made == ["h, seed 0"]
    here, there = (json.loads((each.folder / "compare.json").read_text()) for each in (study, finished))
    assert [each["name"] for each in here["variants"]] == ["d", "h", "x-low-res"]
    for old, new in zip(there["variants"], (here["variants"][0], here["variants"][2]), strict=True):
        assert old["cost"] != new["cost"]  # measured anew, since there is one more to take turns with
        assert {name: old[name] for name in old if name != "cost"} == {
            name: new[name] for name in new if name != "cost"
        }
    assert here["examples"][0]["answers"].keys() == {"d", "h"}
    more = replace(
        study, questions=2
    )  # whoever has no model to ask has to train it again, and is told how long it takes
    assert [each.title for each in more.left()] == ["d, seed 0", "x-low-res, seed 0"]
    assert not any(each.trained for each in more.left())


def test_stopped_and_resumed_equals_uninterrupted(
    finished: Study, ground: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    study = replace(finished, names=("d",), folder=tmp_path / "out")
    (planned,) = study.planned()
    monkeypatch.setattr(making, "NANO", {"text/copy": making.NANO["text/copy"]})
    plain = making.train

    def stop_in_sft(stage, *args, **kwargs):
        plain(stage, *args, **kwargs, stop_after=2 if stage.name.endswith("sft") else None)

    monkeypatch.setattr(making, "train", stop_in_sft)
    with pytest.raises(Interrupted, match="after step 2 of 3"):
        making.make(planned, ground, questions=1)
    assert study.left() == [planned] and (planned.steps("sft"), planned.trained) == (2, False)
    monkeypatch.setattr(making, "train", plain)
    making.make(planned, ground, questions=1)
    assert study.left() == [] and planned.trained
    weights = "model/model.safetensors"
    assert (planned.folder / weights).read_bytes() == (finished.folder / "d/seed-0" / weights).read_bytes()
    monkeypatch.setattr(making, "train", stop_in_sft)  # nothing is left to train, only to ask
    more = replace(study, questions=2)
    assert more.left() == [planned]
    making.make(planned, ground, questions=2)
    assert more.left() == [] and len((planned.folder / "answers/text/copy.jsonl").read_text().splitlines()) == 2


def test_a_dry_run_writes_nothing(backbones: Path, tmp_path: Path):
    said: list[str] = []
    study = study_of(backbones, tmp_path / "out", "h", seeds=2)
    assert conduct(study, "", say=said.append, dry_run=True) is None
    assert not study.folder.exists()
    assert said[0] == "2 models, 0 of them finished; 1 questions a task"
    assert said[1].startswith("  pictures") and said[1].endswith("(12, drawn and encoded once)")
    assert "align 2 steps of" in said[2] and "seeds 0, 1" in said[2]
    assert said[3].startswith("about 0:")


def test_a_folder_of_another_comparison_is_refused(finished: Study, tmp_path: Path):
    other = replace(finished, recipe=replace(finished.recipe, text_rows=0))
    with pytest.raises(ValueError, match=r"begun otherwise \(it differs in recipe.text_rows\)"):
        conduct(other, "", say=lambda line: None, dry_run=True)
    (tmp_path / "something").touch()
    with pytest.raises(ValueError, match="not empty and holds no comparison"):
        conduct(replace(finished, folder=tmp_path), "", say=lambda line: None, dry_run=True)


def test_backbones_that_are_not_there_or_not_these(finished: Study, tmp_path: Path):
    with pytest.raises(
        FileNotFoundError, match="nvlm train nano makes it in runs/nano, and --backbones runs/nano takes"
    ):
        open_backbones(tmp_path)
    note = tmp_path / "study.json"
    held = json.loads((finished.folder / "study.json").read_text())
    note.write_text(json.dumps(held | {"backbones": held["backbones"] | {"language": "another"}}))
    with pytest.raises(ValueError, match=r"begun otherwise \(it differs in backbones.language\)"):
        conduct(replace(finished, folder=tmp_path), "", say=lambda line: None, dry_run=True)


def test_what_a_comparison_does_not_go_by_cannot_be_changed(finished: Study):
    for change in ({"vision": replace(SMALL.vision, steps=7)}, {"questions": 7}):
        with pytest.raises(ValueError, match=f"no use for another {next(iter(change))}: its backbones are finished"):
            replace(finished, recipe=replace(SMALL, **change))


def test_variants_differ_only_in_what_they_are_called(ground: Shared):
    def sft(name: str, seed: int = 0):
        return ground.begin(find_variant(name, seed))[2][-1]

    def learned(name: str, seed: int = 0) -> list[list[int]]:
        """What is supervised in the first steps, whichever row it stands in."""
        phase = sft(name, seed)
        parts = [[part["labels"] for part in phase.batches(step)] for step in range(2)]
        return [sorted(torch.cat([each[each != -100] for each in step]).tolist()) for step in parts]

    assert learned("d") == learned("x") == learned("h-low-res") == learned("d-2d-box") == learned("x-frozen")
    assert learned("d", 1) == learned("h", 1) != learned("d")
    assert sft("d-no-text").stage.batch == sft("d").stage.batch - 1
    assert "language_model.*" not in sft("x-frozen").stage.trainable
    assert [phase.name for phase in ground.begin(find_variant("d-no-pretraining"))[2]] == ["sft"]
    low = sft("d-low-res").batches(0)
    assert sum(len(part["image_features"]) for part in low) == 2  # one view a picture
    model = ground.begin(find_variant("x-every-2"))[0]
    assert model.config.cross_attention_layers == (1, 3)
    new = [torch.cat([each.flatten() for each in ground.begin(find_variant("x", seed))[0].connector.parameters()])
           for seed in (0, 0, 1)]  # fmt: skip
    assert torch.equal(new[0], new[1]) and not torch.equal(new[0], new[2])


def test_the_finished_model_is_the_variant(finished: Study):
    model, processor = load(finished.folder / "x-low-res/seed-0/model")
    assert model.config.architecture == "X" and processor.image_processor.max_tiles == 1
