"""The model cards of the nano backbones: what they were trained on, and how well they do on held-out samples."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from nvlm.data.synthetic.tasks import FAMILIES
from nvlm.evaluation.answering import LanguageModel
from nvlm.evaluation.intervals import mean_score
from nvlm.evaluation.nano_suite import benchmark
from nvlm.evaluation.runner import Job, run
from nvlm.recipes.nano.backbones import Trained

TEXT_ONLY = tuple(task for task in FAMILIES if task.startswith("text/"))
TOGETHER = 64
"""Questions that are answered at once."""

CARD = """\
---
license: apache-2.0
library_name: transformers
pipeline_tag: {kind}
---

# {name}

{what}

{parameters:.2f} M parameters, trained from scratch on one CPU by this repository, on generated samples alone
(`nvlm.data.synthetic`). nano-d, nano-x and nano-h begin with it.

| stage | steps x rows | minutes |
|---|---|---|
{stages}

Make it again with `nvlm train nano`: as the recipe has it, not to the bit.

{measured}

| {heading} | score |
|---|---|
{scores}

It knows what its tasks ask and nothing of the world.
"""

ENCODER = (
    "An InternViT of transformers (`InternVLVisionModel`) for tiles of 64 pixels: patches of 8, 4 layers, width 160.\n"
    "Its own stage names what every patch shows, naming draws its image tokens to nano-lm's embeddings; the heads of\n"
    "both are thrown away (decisions 0034 and 0043)."
)
LANGUAGE = (
    "A Qwen2 of 4 layers and width 192 with a closed vocabulary, trained on text alone. It stands in for the language\n"
    "model that the paper begins with, and is the baseline of text-only scores (decisions 0020 and 0035)."
)


class Measured(NamedTuple):
    """Scores: what was measured in a sentence, what the rows are, and the rows."""

    said: str
    heading: str
    rows: list[tuple[str, str]]


def write_encoder_card(
    folder: Path, parameters: int, stages: list[Trained], scores: dict[str, float], count: int
) -> None:
    """The card of the vision encoder; ``scores`` are shares of what is named right in ``count`` pictures."""
    rows = [(name, f"{100 * share:.1f} %") for name, share in scores.items()]
    said = (
        "Share of patches that show something, and of image tokens that show one thing, named right in\n"
        f"{count} pictures of the held-out test split:"
    )
    _write(folder, "image-feature-extraction", ENCODER, parameters, stages, Measured(said, "what is named", rows))


def write_language_card(folder: Path, parameters: int, stages: list[Trained], count: int) -> None:
    """Let the language model answer ``count`` held-out questions of every text-only task; its card and scores.json."""
    answerer = LanguageModel(folder)
    scores = {
        task: mean_score(list(run(Job(benchmark(task), "test", limit=count), answerer, batch=TOGETHER).scores.values()))
        for task in TEXT_ONLY
    }
    rows = [(task, str(score)) for task, score in scores.items()]
    said = "On the held-out test split, answers generated greedily, exact match with 95 % intervals:"
    _write(folder, "text-generation", LANGUAGE, parameters, stages, Measured(said, "task", rows))
    listed = {task: asdict(score) for task, score in scores.items()}
    (folder / "scores.json").write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")


def stage_rows(stages: list[Trained]) -> str:
    """Rows of a card's table of stages."""
    return "\n".join(
        f"| {stage.title} | {stage.steps:,} x {stage.rows} | {stage.seconds / 60:.0f} |" for stage in stages
    )


def _write(folder: Path, kind: str, what: str, parameters: int, stages: list[Trained], measured: Measured) -> None:
    card = CARD.format(
        kind=kind,
        name=folder.name,
        what=what,
        parameters=parameters / 1e6,
        stages=stage_rows(stages),
        measured=measured.said,
        heading=measured.heading,
        scores="\n".join(f"| {name} | {score} |" for name, score in measured.rows),
    )
    (folder / "README.md").write_text(card, encoding="utf-8")
