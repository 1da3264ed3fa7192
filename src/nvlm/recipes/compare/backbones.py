"""What all variants share: the vision encoder, the language model, and the stored features of all pictures."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedModel

from nvlm.data.features import FeatureStore
from nvlm.modeling.model import NVLMForConditionalGeneration
from nvlm.processing import NVLMProcessor
from nvlm.recipes.nano.build import build_variant
from nvlm.recipes.nano.family import NanoRun
from nvlm.recipes.nano.phases import Phase, phases
from nvlm.recipes.nano.stages import NanoRecipe
from nvlm.recipes.nano.variant import Variant
from nvlm.recipes.overrides import override_from_file
from nvlm.training import checkpointing

SHARED = ("vision", "naming", "language", "pictures")
"""What of a recipe made the backbones and their features; a comparison may change the rest."""


@dataclass(frozen=True)
class Backbones:
    """Trained backbones, and the folder of the bare language model, every variant's baseline."""

    recipe: NanoRecipe
    encoder: PreTrainedModel
    language: PreTrainedModel
    store: FeatureStore
    baseline: Path

    def begin(self, variant: Variant) -> tuple[NVLMForConditionalGeneration, NVLMProcessor, list[Phase]]:
        """A variant before its first stage, on copies of the backbones, and the stages that it goes through."""
        model, processor = build_variant(variant, copy.deepcopy(self.encoder), copy.deepcopy(self.language))
        return model, processor, phases(self.recipe, variant, model, processor, self.store)


def recipe_of(folder: Path) -> NanoRecipe:
    """The recipe of a folder in which ``nvlm train nano`` works, or worked.

    Raises:
        FileNotFoundError: the folder holds none, or one whose backbones are not finished.
    """
    wanted = "make them first: nvlm train nano --out " + str(folder)
    if not (folder / "recipe.json").exists():
        raise FileNotFoundError(f"{folder} holds no backbones; {wanted}")
    recipe = override_from_file(NanoRecipe(), folder / "recipe.json")
    for name in ("vision", "naming", "language"):
        found, steps = checkpointing.latest(folder / name), getattr(recipe, name).steps
        done = 0 if found is None else found.step
        if done < steps:
            raise FileNotFoundError(f"the stage {name} of {folder} has done {done} of {steps} steps; {wanted} --resume")
    return recipe


def open_backbones(recipe: NanoRecipe, folder: Path, say: Callable[[str], None]) -> Backbones:
    """The finished backbones of a folder; features that are missing are made.

    Args:
        recipe: of the comparison.

    Raises:
        FileNotFoundError: see `recipe_of`.
        ValueError: the recipe asks for other backbones than these.
    """
    made = recipe_of(folder)
    odd = [name for name in SHARED if getattr(made, name) != getattr(recipe, name)]
    if odd:
        raise ValueError(
            f"the backbones in {folder} were made with another {', '.join(odd)}; a comparison can only change what "
            "comes after them"
        )
    run = NanoRun(made, folder, say)
    own = run.make_backbones()
    return Backbones(recipe, own.encoder, own.language, run.features(own.encoder), own.language_folder)
