"""The recipes by name: each name is that of the function that makes it."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches

from nvlm.modeling.architectures import find_architecture
from nvlm.recipes.nano.recipe import UNPLANNED, nano
from nvlm.recipes.paper_34b import paper_34b, paper_34b_released
from nvlm.recipes.paper_72b import paper_72b, paper_72b_released
from nvlm.recipes.recipe import Recipe
from nvlm.recipes.smol.recipe import smol

RECIPES: Mapping[str, Callable[[str], Recipe]] = {
    "nano": nano,
    "paper_34b": paper_34b,
    "paper_34b_released": paper_34b_released,
    "paper_72b": paper_72b,
    "paper_72b_released": paper_72b_released,
    "smol": smol,
}
BESIDES: Mapping[str, str] = {"nano": UNPLANNED}
"""What a recipe does besides its two stages, in a sentence for those who plan it."""


def find_recipe(name: str, architecture: str) -> Recipe:
    """The recipe called ``name`` for an architecture.

    Raises:
        ValueError: there is no such recipe (the nearest is offered) or architecture.
    """
    if name not in RECIPES:
        near = get_close_matches(name, RECIPES, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(RECIPES)}"
        raise ValueError(f"there is no recipe {name!r}: {hint}")
    find_architecture(architecture)
    return RECIPES[name](architecture)
