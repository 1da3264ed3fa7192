"""`nvlm train nano`: backbones, features, then D, X or H through the paper's two stages. Everything resumes."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from transformers import PreTrainedModel

from nvlm.evaluation.nano_suite import run_suite
from nvlm.inference import ask_batch, load
from nvlm.modeling.model import NVLMForConditionalGeneration
from nvlm.recipes.nano.backbone_cards import write_language_card
from nvlm.recipes.nano.backbones import (
    LANGUAGE,
    MADE,
    Backbones,
    differences,
    note_made,
    read_backbones,
    trained,
)
from nvlm.recipes.nano.build import build_variant, save
from nvlm.recipes.nano.card import trained_stages, write_card
from nvlm.recipes.nano.encoder import make_encoder
from nvlm.recipes.nano.language import TextBatches, build_language_model, build_processor, language_loss
from nvlm.recipes.nano.phases import phases
from nvlm.recipes.nano.pictures import Pictures, open_pictures
from nvlm.recipes.nano.stages import NanoRecipe
from nvlm.recipes.nano.variant import Variant
from nvlm.training.loop import train
from nvlm.training.settings import as_written


class NanoRun:
    """A folder in which the family is made.

    Args:
        recipe: what to do.
        folder: holds the backbones' stages, the pictures, one folder per architecture and the finished models.
        say: where a line of news goes.

    Raises:
        ValueError: the folder was begun with another recipe.
    """

    def __init__(self, recipe: NanoRecipe, folder: Path, say: Callable[[str], None] = print) -> None:
        self.recipe, self.folder, self._say = recipe, folder, say
        folder.mkdir(parents=True, exist_ok=True)
        _check_recipe(folder / "recipe.json", recipe)

    def make(self, architecture: str, *, resume: bool = False) -> Path:
        """Train one architecture, making what it needs first; the finished model's folder.

        Raises:
            FileExistsError: the architecture was begun here and ``resume`` is false.
            nvlm.training.loop.Interrupted: the run was stopped, and saved.
        """
        return self._finish(self.learn(architecture, resume=resume), architecture)

    def learn(self, architecture: str, *, resume: bool = False) -> NVLMForConditionalGeneration:
        """The stages of one architecture on the backbones, without writing the model: what every process does."""
        backbones, variant = self.backbones(), Variant(architecture)
        pictures = self.pictures(backbones.encoder)
        model, processor = build_variant(variant, backbones.encoder, backbones.language)
        for phase in phases(self.recipe, variant, model, processor, pictures):
            folder = self.folder / architecture.lower() / phase.name
            train(
                phase.stage,
                model,
                phase.batches,
                phase.loss,
                folder,
                resume=resume,
                about={"recipe": asdict(self.recipe), "backbones": str(backbones.folder)},
            )
        return model

    def backbones(self) -> Backbones:
        """The shipped ones, unless the run has begun its own or has another recipe than the one that made them."""
        if not any((self.folder / name).exists() for name in ("vision", "language")):
            odd = differences(self.recipe)
            if not odd:
                return read_backbones()
            self._say(
                f"the shipped backbones were made with another {', '.join(odd)}: making new ones, which takes hours"
            )
        return self.make_backbones()

    def make_backbones(self) -> Backbones:
        """The run's own backbones; those that are finished are left alone."""
        self._make_language()
        make_encoder(self.recipe, self.folder)
        return read_backbones(self.folder)

    def _make_language(self) -> None:
        """The language model; its folder is the baseline of every comparison."""
        target = self.folder / LANGUAGE
        if (target / MADE).exists():
            return
        torch.manual_seed(self.recipe.language.seed)
        model, processor = build_language_model(), build_processor("D")
        train(
            self.recipe.language,
            model,
            TextBatches(processor, self.recipe.language.batch),
            lambda batch: language_loss(model, batch),
            self.folder / "language",
            resume=True,
        )
        save(model, target, processor.tokenizer)
        stages = [trained("language model, text only", self.folder / "language")]
        self._say(f"{target}: {self.recipe.questions} held-out questions per task")
        write_language_card(target, model.num_parameters(), stages, self.recipe.questions)
        note_made(target, self.recipe, stages)

    def pictures(self, encoder: PreTrainedModel) -> Pictures:
        """All training pictures and their features; what is missing is drawn and encoded."""
        return open_pictures(self.folder / "pictures", encoder, self.recipe.pictures, self._say)

    def _finish(self, model: NVLMForConditionalGeneration, architecture: str) -> Path:
        """Write the model, answer the held-out questions with what was written, write the card."""
        target = self.folder / f"nano-{architecture.lower()}"
        processor = build_processor(architecture)
        save(model, target, processor)
        written, processor = load(target)
        count = self.recipe.questions
        self._say(f"{target}: {count} held-out questions per task")
        scores = run_suite(lambda asked: ask_batch(written, processor, asked), "test", count, say=self._say)
        write_card(
            target,
            architecture,
            self.backbones().stages + trained_stages(self.folder / architecture.lower(), architecture),
            parameters=written.num_parameters(),
            vocabulary=len(processor.tokenizer),
            scores=scores,
            count=count,
        )
        self._say(f"finished: {target}")
        return target


def _check_recipe(path: Path, recipe: NanoRecipe) -> None:
    wanted = as_written(recipe)
    if not path.exists():
        path.write_text(json.dumps(wanted, indent=1), encoding="utf-8")
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    odd = [name for name in wanted if wanted[name] != found.get(name)]
    if odd:
        raise ValueError(
            f"{path.parent} was begun with another recipe (they differ in {', '.join(odd)}); choose another folder"
        )
