"""Comparisons of a few steps."""

from dataclasses import replace
from pathlib import Path

import torch

from nvlm.recipes.compare.backbones import Shared, open_backbones, share
from nvlm.recipes.nano.backbones import ENCODER, LANGUAGE, note_made
from nvlm.recipes.nano.build import save
from nvlm.recipes.nano.language import build_language_model, build_processor
from nvlm.recipes.nano.stages import NanoRecipe
from nvlm.recipes.nano.vision import DenseReader
from tests.recipes.tiny_nano import narrow

USUAL = NanoRecipe()
SMALL = replace(
    USUAL,
    align=replace(USUAL.align, steps=2, batch=2),
    pretrain=replace(USUAL.pretrain, steps=2, batch=2),
    sft=replace(USUAL.sft, steps=3, batch=3),
    pictures=12,
    text_rows=1,
)


def make_backbones(folder: Path) -> None:
    """Backbones that were never trained: a comparison needs them to be there."""
    torch.manual_seed(0)
    with narrow():
        save(DenseReader().vision_model, folder / ENCODER)
        save(build_language_model(), folder / LANGUAGE, build_processor("D").tokenizer)
    for name in (ENCODER, LANGUAGE):
        note_made(folder / name, USUAL, [])


def shared(backbones: Path, features: Path) -> Shared:
    """What variants begin with, in silence."""
    return share(SMALL, open_backbones(backbones), features, say=lambda line: None)
