"""The nano recipe at a size of seconds."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest

from nvlm.evaluation.intervals import Score, mean_score
from nvlm.evaluation.nano_suite import GROUPS, benchmark
from nvlm.recipes.nano.family import NanoRun
from nvlm.recipes.nano.sizes import LANGUAGE, VISION
from nvlm.recipes.nano.stages import NanoRecipe


def tiny_recipe() -> NanoRecipe:
    recipe = NanoRecipe(pictures=24, text_rows=2, questions=1)
    return replace(
        recipe,
        vision=replace(recipe.vision, steps=2, batch=2),
        language=replace(recipe.language, steps=2, batch=4),
        naming=replace(recipe.naming, steps=2, batch=2),
        align=replace(recipe.align, steps=2, batch=4),
        pretrain=replace(recipe.pretrain, steps=2, batch=6),
        sft=replace(recipe.sft, steps=3, batch=6),
        explain=replace(recipe.explain, steps=2, batch=6),
        conclude=replace(recipe.conclude, steps=2, batch=6),
    )


@contextmanager
def narrow() -> Iterator[None]:
    """Backbones that are made meanwhile have the family's layers, heads and views, at a quarter of its widths."""
    with pytest.MonkeyPatch.context() as patch:
        for sizes in (VISION, LANGUAGE):
            for width in ("hidden_size", "intermediate_size"):
                patch.setitem(sizes, width, sizes[width] // 4)
        yield


def make_backbones(folder: Path) -> None:
    """A run's backbones; the language model, which has learned nothing, answers each question with one token."""
    with narrow(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "nvlm.recipes.nano.backbone_cards.benchmark", lambda task: replace(benchmark(task), max_new_tokens=1)
        )
        NanoRun(tiny_recipe(), folder, say=lambda line: None).make_backbones()


def perfect(*args: object, **kwargs: object) -> dict[str, Score]:
    """In place of `run_suite`, where a test is not about the answers of a model that has learned nothing."""
    return dict.fromkeys([*GROUPS, *chain.from_iterable(GROUPS.values())], mean_score([1.0]))


def losses(folder: Path) -> list[float]:
    """Of every step of a stage."""
    return [json.loads(line)["loss"] for line in (folder / "log.jsonl").read_text().splitlines() if "loss" in line]
