"""The folder of a run: what it was begun with, which of its stages are done, and where their results are."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from nvlm.recipes.recipe import ImageStage, Recipe
from nvlm.training import checkpointing
from nvlm.training.freezing import freeze
from nvlm.training.settings import as_written

RECIPE, MODEL, LANGUAGE, FEATURES = "recipe.json", "model", "language", "features"
BAD_SAMPLES = "bad_samples"


class RunFolder:
    """A folder with a recipe, a folder per stage, and in the end the model.

    Args:
        path: of the folder.
        recipe: that is run in it.
    """

    def __init__(self, path: Path, recipe: Recipe) -> None:
        self.path, self.recipe = path, recipe

    @property
    def model(self) -> Path:
        """The finished model."""
        return self.path / MODEL

    def stage(self, stage: ImageStage) -> Path:
        """Checkpoints and log of a stage."""
        return self.path / stage.name

    def begin(self) -> None:
        """Write the recipe down.

        Raises:
            ValueError: the folder was begun with another one. What no step was done with yet may differ.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        path = self.path / RECIPE
        wanted = as_written(self.recipe)
        if path.exists():
            found = json.loads(path.read_text(encoding="utf-8"))
            free = {stage.name for stage in self.recipe.stages if not checkpointing.steps(self.stage(stage))}
            odd = [name for name in _differing(found, wanted) if name.partition(".")[0] not in free]
            if odd and len(free) < len(self.recipe.stages):
                was, now = _at(found, odd[0]), _at(wanted, odd[0])
                others = f", and {len(odd) - 1} other values differ" if len(odd) > 1 else ""
                raise ValueError(
                    f"{self.path} was begun with {odd[0]} {was!r}, and now it is {now!r}{others}; keep the recipe "
                    "as it was, or choose another folder"
                )
        beside = path.with_suffix(".part")
        beside.write_text(json.dumps(wanted, indent=1), encoding="utf-8")
        beside.replace(path)

    def done(self, stage: ImageStage) -> int:
        """Steps of a stage that are done and saved."""
        checkpoint = checkpointing.latest(self.stage(stage))
        return 0 if checkpoint is None else checkpoint.step

    def finished(self, stage: ImageStage) -> bool:
        """Whether all steps of a stage are done."""
        return self.done(stage) >= stage.steps

    def before(self, stage: ImageStage) -> tuple[ImageStage, ...]:
        """The stages that come before one."""
        return self.recipe.stages[: self.recipe.stages.index(stage)]

    def load(self, stage: ImageStage, model: nn.Module) -> None:
        """Put what a finished stage learned into a model; all processes together.

        Raises:
            ValueError: the stage is not finished.
        """
        freeze(model, stage.trainable)
        checkpointing.restore(self._last(stage), model, {})

    def check_before(self, stage: ImageStage) -> None:
        """Make sure that a stage can begin.

        Raises:
            ValueError: one before it is not finished.
        """
        for earlier in self.before(stage):
            self._last(earlier)

    def _last(self, stage: ImageStage) -> checkpointing.Checkpoint:
        checkpoint = checkpointing.latest(self.stage(stage))
        if checkpoint is None or checkpoint.step < stage.steps:
            done = 0 if checkpoint is None else checkpoint.step
            raise ValueError(
                f"{self.stage(stage)} holds {done:,} of the {stage.steps:,} steps of {stage.name}, which the next "
                f"stage begins with; run --stage {stage.name} (or all) first"
            )
        return checkpoint


def _differing(one: Mapping[str, Any], other: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Dotted names of the values in which two mappings differ."""
    for name in dict.fromkeys([*one, *other]):
        a, b = one.get(name), other.get(name)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            yield from _differing(a, b, f"{above}{name}.")
        elif a != b:
            yield above + name


def _at(values: Any, name: str) -> Any:
    for each in name.split("."):
        values = values.get(each) if isinstance(values, Mapping) else None
    return values


def say_once(first: bool, line: str) -> None:
    """A line of news, from one process."""
    if first:
        print(line, file=sys.stderr, flush=True)
