"""The nano family on several processes: the first one makes what is made once, all of them train."""

from collections.abc import Callable
from pathlib import Path

from nvlm.recipes.nano.backbones import ENCODER, MADE, differences
from nvlm.recipes.nano.family import NanoRun
from nvlm.recipes.nano.stages import NanoRecipe
from nvlm.training.ranks import Ranks

DAY = 24 * 3600.0
"""Seconds that processes wait for each other: while the first one encodes the pictures, that is."""


def make_together(recipe: NanoRecipe, folder: Path, architecture: str | None, *, resume: bool) -> None:
    """Train an architecture from finished backbones; call it in every process.

    Raises:
        ValueError: the backbones are not made, or the folder was begun with another recipe.
        FileExistsError: the architecture was begun here and ``resume`` is false.
        nvlm.training.loop.Interrupted: the run was stopped, and saved.
    """
    made = (folder / ENCODER / MADE).exists() or not (architecture is None or differences(recipe))
    if architecture is None or not made:
        raise ValueError(
            "several processes train an architecture from backbones that are finished; make those in one process "
            f"first: nvlm train nano --out {folder}"
        )
    ranks = Ranks()
    nano = _one_after_another(ranks, lambda: NanoRun(recipe, folder, print if ranks.first else _say_nothing))
    if ranks.first:
        nano.pictures(nano.backbones().encoder)
    ranks.wait()
    if ranks.first:
        nano.make(architecture, resume=resume)
    else:
        nano.learn(architecture, resume=resume)


def _one_after_another(ranks: Ranks, make: Callable[[], NanoRun]) -> NanoRun:
    """What the first process made before the others look at it."""
    made = make() if ranks.first else None
    ranks.wait()
    return made or make()


def _say_nothing(line: str) -> None:
    pass
