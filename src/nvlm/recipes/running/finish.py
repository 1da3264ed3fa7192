"""A finished run as a model folder like any other, with a card that says how it was made."""

import json
import shutil
from pathlib import Path

import torch

from nvlm.inference.load import quiet
from nvlm.recipes.running.build import Built
from nvlm.recipes.running.folder import RunFolder
from nvlm.training import checkpointing
from nvlm.training.curves import LOG

CARD = """\
---
library_name: nvlm
pipeline_tag: image-text-to-text
---

# {name}

NVLM-{architecture} by the recipe `{recipe}`, {parameters:,.1f} M parameters: the language model is `{language}`, the
vision encoder `{vision}`.

{note}
| stage | steps | samples | minutes | loss of the first tenth | of the last tenth |
|---|---|---|---|---|---|
{stages}

Loss is per supervised token of the training data. Nothing here was measured on held-out questions: `nvlm eval` does
that.
"""


def write_model(folder: RunFolder, built: Built) -> Path:
    """Write model, processor and card, complete or not at all. The weights are stored in bfloat16.

    Args:
        folder: of the run, with all of its stages finished.
        built: the recipe's model before its first stage.
    """
    recipe = folder.recipe
    for stage in recipe.stages:
        folder.load(stage, built.model)
    beside = folder.model.with_suffix(".part")
    shutil.rmtree(beside, ignore_errors=True)
    with quiet(True):
        built.model.to(torch.bfloat16).save_pretrained(beside)  # type: ignore[arg-type]
    built.processor(recipe.stages[-1]).save_pretrained(beside)
    (beside / "README.md").write_text(card(folder, built), encoding="utf-8")
    beside.rename(folder.model)
    return folder.model


def card(folder: RunFolder, built: Built) -> str:
    """The model card: what it was made from, for how long, and what its loss did."""
    recipe = folder.recipe
    return CARD.format(
        name=folder.path.name,
        architecture=recipe.model.architecture,
        recipe=recipe.name,
        parameters=built.model.num_parameters() / 1e6,
        language=recipe.model.language.weights or "of its own",
        vision=recipe.model.vision.weights or "of its own",
        note=f"{recipe.note}\n" if recipe.note else "",
        stages="\n".join(_row(folder.stage(stage)) for stage in recipe.stages),
    )


def _row(stage: Path) -> str:
    checkpoint = checkpointing.latest(stage)
    assert checkpoint is not None
    log = [json.loads(line) for line in (stage / LOG).read_text(encoding="utf-8").splitlines()]
    steps = [row for row in log if "loss" in row]
    tenth = max(1, len(steps) // 10)
    first, last = (sum(row["loss"] for row in part) / tenth for part in (steps[:tenth], steps[-tenth:]))
    samples, minutes = sum(row["samples"] for row in steps), checkpoint.numbers["seconds"] / 60
    return f"| {stage.name} | {checkpoint.step:,} | {samples:,} | {minutes:,.0f} | {first:.3f} | {last:.3f} |"
