"""What a comparison consists of: which variants with which seeds, where each stands, and what is left to do."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nvlm.recipes.compare.backbones import what_counts
from nvlm.recipes.compare.report import write_whole
from nvlm.recipes.compare.variants import MAIN, find_variant
from nvlm.recipes.nano.stages import NanoRecipe
from nvlm.recipes.nano.variant import Variant
from nvlm.training import checkpointing

NOTE, DONE, PICTURES = "study.json", "run.json", "pictures"
"""What a comparison is; what one of its models showed. With these two files, and no other, it can go on elsewhere."""


@dataclass(frozen=True)
class Planned:
    """One variant with one seed, and its folder."""

    name: str
    variant: Variant
    folder: Path

    @property
    def title(self) -> str:
        """What it is called in lists."""
        return f"{self.name}, seed {self.variant.seed}"

    def done(self, questions: int) -> bool:
        """Is it trained, and were so many questions answered?"""
        note = self.folder / DONE
        return note.exists() and int(json.loads(note.read_text(encoding="utf-8"))["questions"]) >= questions

    @property
    def trained(self) -> bool:
        """Is the model finished?"""
        return (self.folder / "model").is_dir()

    def steps(self, stage: str) -> int:
        """Steps of a stage that are done and saved."""
        found = checkpointing.steps(self.folder / stage)
        return int(found[-1].name.removeprefix("step-")) if found else 0


@dataclass(frozen=True)
class Study:
    """A comparison.

    Attributes:
        recipe: how every variant is trained.
        names: of the variants.
        seeds, ablation_seeds: how many, of D, X and H and of the others.
        questions: held-out ones of each task.
        backbones, folder: what it starts from, and where it goes.

    Raises:
        ValueError: the recipe changes what a comparison has no use for.
    """

    recipe: NanoRecipe
    names: tuple[str, ...]
    seeds: int
    ablation_seeds: int
    questions: int
    backbones: Path
    folder: Path

    def __post_init__(self) -> None:
        what_counts(self.recipe)

    @property
    def pictures(self) -> Path:
        """Where the training pictures and their features are kept."""
        return self.folder / PICTURES

    def planned(self) -> list[Planned]:
        """Every model in the order in which they are made: seed after seed, so that what stops early is a whole."""
        main = [name for name in self.names if name in MAIN]
        others = [name for name in self.names if name not in MAIN]
        return [
            Planned(name, find_variant(name, seed), self.folder / name / f"seed-{seed}")
            for names, seeds in ((main, self.seeds), (others, self.ablation_seeds))
            for seed in range(seeds)
            for name in names
        ]

    def left(self) -> list[Planned]:
        """The models that are still to be made, or to be asked."""
        return [each for each in self.planned() if not each.done(self.questions)]

    def claim(self, identity: dict[str, str], *, only_look: bool = False) -> None:
        """Take the folder for this comparison, or find it taken by the same one.

        Variants, seeds and questions may become more, or fewer; the recipe and the backbones may not change.

        Args:
            identity: what the backbones are.
            only_look: do not take it, only see whether it could be.

        Raises:
            ValueError: it holds another comparison, or something else.
        """
        wanted: dict[str, Any] = {"recipe": what_counts(self.recipe), "backbones": identity}
        note = self.folder / NOTE
        if note.exists():
            _check(json.loads(note.read_text(encoding="utf-8")), wanted, self.folder)
            return
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise ValueError(f"{self.folder} is not empty and holds no comparison; choose another --out")
        if only_look:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(note, json.dumps(wanted, indent=1))


def _check(found: dict[str, Any], wanted: dict[str, Any], folder: Path) -> None:
    odd = [
        f"{group}.{name}"
        for group, values in wanted.items()
        for name, value in values.items()
        if found.get(group, {}).get(name) != value
    ]
    if odd:
        raise ValueError(f"{folder} was begun otherwise (it differs in {', '.join(odd)}); choose another --out")
