"""What all variants share: two finished backbones, and all training pictures with their features."""

import copy
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nvlm.data.picture_features import weights_hash
from nvlm.modeling.model import NVLMForConditionalGeneration
from nvlm.processing import NVLMProcessor
from nvlm.recipes.nano.backbones import Backbones, read_backbones
from nvlm.recipes.nano.build import build_variant
from nvlm.recipes.nano.phases import Phase, phases
from nvlm.recipes.nano.pictures import Pictures, open_pictures
from nvlm.recipes.nano.stages import NanoRecipe
from nvlm.recipes.nano.variant import Variant

COMPARED = ("align", "pretrain", "sft")
"""A comparison is of plain answers: nano's last stage, whose answers name first what they rest on, is left out."""
CHANGEABLE = (*COMPARED, "pictures", "text_rows")
"""What of a recipe a comparison goes by; the rest made the backbones, or counts a card's questions."""


@dataclass(frozen=True)
class Shared:
    """What every variant begins with."""

    recipe: NanoRecipe
    backbones: Backbones
    pictures: Pictures

    def begin(self, variant: Variant) -> tuple[NVLMForConditionalGeneration, NVLMProcessor, list[Phase]]:
        """A variant before its first stage, on copies of the backbones, and the stages that it goes through."""
        encoder, language = copy.deepcopy(self.backbones.encoder), copy.deepcopy(self.backbones.language)
        model, processor = build_variant(variant, encoder, language)
        return model, processor, phases(self.recipe, variant, model, processor, self.pictures, COMPARED)


def open_backbones(folder: Path) -> Backbones:
    """The finished backbones of a folder: the shipped ones, or those of a run of ``nvlm train nano``.

    Raises:
        FileNotFoundError: it does not hold both.
    """
    try:
        return read_backbones(folder)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error} in runs/nano, and --backbones runs/nano takes it from there") from error


def share(recipe: NanoRecipe, backbones: Backbones, pictures: Path, say: Callable[[str], None]) -> Shared:
    """The backbones with the recipe's pictures and their features; those that a folder does not hold yet are made."""
    return Shared(recipe, backbones, open_pictures(pictures, backbones.encoder, recipe.pictures, say))


def identity(backbones: Backbones) -> dict[str, str]:
    """What decides that two comparisons begin alike."""
    return {"encoder": weights_hash(backbones.encoder), "language": weights_hash(backbones.language)}


def what_counts(recipe: NanoRecipe) -> dict[str, Any]:
    """The part of a recipe that a comparison goes by, as JSON holds it.

    Raises:
        ValueError: another part was changed, or no batch can be made by it.
    """
    if recipe.pictures < 1:
        raise ValueError(f"pictures is {recipe.pictures}; it must be at least 1")
    if not 0 <= recipe.text_rows < recipe.sft.batch:
        raise ValueError(
            f"text_rows is {recipe.text_rows} of the {recipe.sft.batch} rows of a batch; it must be at least 0, "
            "and leave rows for pictures"
        )
    values, usual = asdict(recipe), asdict(NanoRecipe())
    odd = [name for name in values if name not in CHANGEABLE and values[name] != usual[name]]
    if odd:
        raise ValueError(
            f"a comparison has no use for another {', '.join(odd)}: its backbones are finished, and --limit says how "
            f"many questions are asked; it can change {', '.join(CHANGEABLE)}"
        )
    found: dict[str, Any] = json.loads(json.dumps({name: values[name] for name in CHANGEABLE}))
    return found
