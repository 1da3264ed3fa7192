"""The two backbones as model folders: those that a run has made, or those that come with the package."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import InternVLVisionModel, Qwen2ForCausalLM

from nvlm.inference.load import MODELS, quiet
from nvlm.recipes.nano.stages import NanoRecipe
from nvlm.training import checkpointing
from nvlm.training.settings import as_written

ENCODER, LANGUAGE = "nano-vision", "nano-lm"
MADE = "made.json"
"""Written last: what a backbone was made by."""
SHARED = ("vision", "naming", "language")
"""The stages of a recipe that make the backbones."""


@dataclass(frozen=True)
class Trained:
    """A stage as it stands in a model card."""

    title: str
    steps: int
    rows: int
    seconds: float


@dataclass(frozen=True)
class Backbones:
    """Two finished backbones in float32, the folder of both, and the stages that made them."""

    folder: Path
    encoder: InternVLVisionModel
    language: Qwen2ForCausalLM
    stages: list[Trained]

    @property
    def language_folder(self) -> Path:
        """The bare language model with its tokenizer: the baseline of every comparison."""
        return self.folder / LANGUAGE


def read_backbones(folder: Path = MODELS) -> Backbones:
    """The backbones of a folder, by default the shipped ones.

    Raises:
        FileNotFoundError: one of them is not there, or is not finished.
    """
    notes = [_note(folder / name) for name in (ENCODER, LANGUAGE)]
    with quiet(True):
        encoder = InternVLVisionModel.from_pretrained(folder / ENCODER, dtype=torch.float32, local_files_only=True)
    stages = [Trained(**stage) for note in notes for stage in note["stages"]]
    return Backbones(folder, encoder, read_language(folder), stages)


def read_language(folder: Path = MODELS) -> Qwen2ForCausalLM:
    """The language model of a folder of backbones, in float32."""
    with quiet(True):
        return Qwen2ForCausalLM.from_pretrained(folder / LANGUAGE, dtype=torch.float32, local_files_only=True)


def differences(recipe: NanoRecipe, folder: Path = MODELS) -> list[str]:
    """The stages in which a recipe differs from the one that made a folder's backbones: all, where it holds none."""
    made = _note(folder / ENCODER)["recipe"] if (folder / ENCODER / MADE).exists() else {}
    wanted = as_written(recipe)
    return [name for name in SHARED if made.get(name) != wanted[name]]


def note_made(folder: Path, recipe: NanoRecipe, stages: list[Trained]) -> None:
    """Mark a backbone's folder as finished."""
    values = asdict(recipe)
    note = {"recipe": {name: values[name] for name in SHARED}, "stages": [asdict(stage) for stage in stages]}
    beside = folder / f"{MADE}.part"
    beside.write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")
    beside.replace(folder / MADE)


def trained(title: str, folder: Path) -> Trained:
    """A stage as its last checkpoint tells it.

    Raises:
        FileNotFoundError: the folder holds none that can be read.
    """
    checkpoint = checkpointing.latest(folder)
    if checkpoint is None:
        raise FileNotFoundError(f"{folder} holds no readable checkpoint of its stage")
    return Trained(title, checkpoint.step, checkpoint.numbers["batch"], checkpoint.numbers["seconds"])


def _note(folder: Path) -> dict[str, Any]:
    path = folder / MADE
    if not path.exists():
        raise FileNotFoundError(f"{folder} holds no finished backbone (there is no {MADE}); nvlm train nano makes it")
    note: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return note
