"""The model before its first stage as a folder, of which every process reads its own part only.

For layouts that cut the model: no process but the first, and that once, has to hold the whole of it.
"""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from nvlm.inference.load import quiet
from nvlm.modeling.config import NVLMConfig
from nvlm.modeling.model import NVLMForConditionalGeneration
from nvlm.processing import NVLMProcessor
from nvlm.recipes.recipe import Recipe
from nvlm.recipes.running.build import Built, Sources, build
from nvlm.training.ranks import Ranks
from nvlm.training.sharding import loading

START, MADE_OF = "start", "made_of.json"


def read_start(folder: Path, recipe: Recipe, sources: Sources, ranks: Ranks, precision: str) -> Built:
    """The recipe's model, cut as the layout says; all processes together. The folder is written if it is not there.

    Args:
        folder: of the run.
        precision: of the passes.

    Raises:
        ValueError, FileNotFoundError: as `build`.
    """
    place = folder / START
    if ranks.first:
        _write(place, recipe, sources)
    ranks.wait()
    spreading = loading(NVLMConfig.from_pretrained(place), ranks.layout, precision)
    with quiet(True):
        model = NVLMForConditionalGeneration.from_pretrained(place, dtype=torch.float32, distributed_config=spreading)
        processor = NVLMProcessor.from_pretrained(place)
    images: Any = processor.image_processor
    encoder = json.loads((place / MADE_OF).read_text(encoding="utf-8"))["encoder"]
    return Built(model, processor.tokenizer, processor.image_token, images.mean, images.std, encoder)


def _write(place: Path, recipe: Recipe, sources: Sources) -> None:
    """Write the folder, complete or not at all."""
    wanted = {"model": asdict(recipe.model), "seed": recipe.pretrain.seed, "sources": asdict(sources)}
    wanted = json.loads(json.dumps(wanted))
    if place.exists():
        found = json.loads((place / MADE_OF).read_text(encoding="utf-8"))
        if wanted == {name: value for name, value in found.items() if name != "encoder"}:
            return
    built, beside = build(recipe, sources), place.with_suffix(".part")
    for old in (beside, place):
        shutil.rmtree(old, ignore_errors=True)
    with quiet(True):
        built.model.save_pretrained(beside)
    built.processor(recipe.pretrain).save_pretrained(beside)
    (beside / MADE_OF).write_text(json.dumps(wanted | {"encoder": built.encoder_hash()}, indent=1), encoding="utf-8")
    beside.rename(place)
