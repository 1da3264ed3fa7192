"""Two processes train the nano family as one does."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from nvlm.recipes.nano import family
from nvlm.recipes.nano.family import NanoRun
from nvlm.recipes.nano.stages import STAGES
from nvlm.recipes.nano.together import make_together
from nvlm.training import loop
from tests.recipes.tiny_nano import losses, perfect, tiny_recipe
from tests.training.together import together

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def one(tiny_backbones: Path, tmp_path_factory: pytest.TempPathFactory) -> NanoRun:
    """A run in one process, with its backbones."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = shutil.copytree(tiny_backbones, tmp_path_factory.mktemp("one") / "nano")
    nano = NanoRun(tiny_recipe(), folder, say=lambda line: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(family, "run_suite", perfect)
        nano.make("H")
    torch.set_num_threads(before)
    return nano


def begun(one: NanoRun, folder: Path) -> Path:
    """A folder with the same backbones and nothing else."""
    shutil.copytree(one.folder, folder, ignore=shutil.ignore_patterns("h", "nano-h", "features"))
    return folder


def make(folder: Path, resume: bool = False) -> None:
    """In a process of its own, so that nothing needs to be put back."""
    family.run_suite = perfect
    make_together(tiny_recipe(), folder, "H", resume=resume)


def make_and_stop(folder: Path) -> str:
    """Stop in fine-tuning."""
    plain = loop.train

    def stopping(stage, *args, **kwargs):
        plain(stage, *args, **kwargs, stop_after=2 if stage.name.endswith("sft") else None)

    family.train = stopping
    try:
        make(folder)
    except loop.Interrupted as stopped:
        return str(stopped)
    return "did not stop"


def test_two_processes_are_as_one(one, tmp_path):
    folder = begun(one, tmp_path / "two")
    together(2, make, tmp_path, folder)
    for stage in STAGES:
        expected = losses(one.folder / "h" / stage)
        assert losses(folder / "h" / stage) == pytest.approx(expected, rel=0, abs=TOLERANCE), stage
        state = json.loads(next((folder / "h" / stage).glob("step-*/state.json")).read_text())
        assert state["layout"] == "HSDP 2"
    for name, tensor in load_file(folder / "nano-h" / "model.safetensors").items():
        expected = load_file(one.folder / "nano-h" / "model.safetensors")[name]
        torch.testing.assert_close(tensor.float(), expected.float(), rtol=0.02, atol=0.02)
    assert (folder / "nano-h" / "README.md").exists()


@pytest.mark.slow
def test_what_two_processes_began_one_finishes(one, tmp_path):
    folder = begun(one, tmp_path / "two")
    assert together(2, make_and_stop, tmp_path, folder)[1].startswith("nano-h sft stopped after step 2 of 3")
    NanoRun(tiny_recipe(), folder, say=lambda line: None).make("H", resume=True)
    assert losses(folder / "h" / "sft") == pytest.approx(losses(one.folder / "h" / "sft"), rel=0, abs=TOLERANCE)


def test_backbones_come_first(tmp_path):
    for architecture in ("H", None):
        with pytest.raises(ValueError, match="make those in one process first: nvlm train nano --out"):
            make_together(tiny_recipe(), tmp_path, architecture, resume=False)
    assert not list(tmp_path.iterdir())
