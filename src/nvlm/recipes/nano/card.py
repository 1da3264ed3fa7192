"""The model card of a nano model: what it was made from, how well it does on held-out tasks, what it cannot do."""

import json
from dataclasses import asdict
from pathlib import Path

from nvlm.evaluation.intervals import Score
from nvlm.evaluation.nano_suite import GROUPS, TARGETS
from nvlm.recipes.nano.backbone_cards import stage_rows
from nvlm.recipes.nano.backbones import Trained, trained

PLACES = {
    "D": "decoder-only: all image tokens stand in the token sequence",
    "X": "cross-attention: all image tokens are read by gated cross-attention; the text holds only the tile tags",
    "H": "hybrid: the thumbnail stands in the token sequence, the tiles are read by gated cross-attention",
}

CARD = """\
---
license: apache-2.0
library_name: nvlm
pipeline_tag: image-text-to-text
---

# nano-{name}

NVLM-{architecture} at nano size ({places}).
{parameters:.2f} M parameters, trained from scratch on one CPU by this repository. It shows that the architecture, its
processing, training and decoding work; it is not useful for anything else.

## Data

Synthetic tasks only (`nvlm.data.synthetic`; look at them with `nvlm data inspect`): text, tables, charts, receipts,
scenes and diagrams drawn by Pillow with the DejaVu fonts, and text-only tasks. Test questions differ from the training
ones by seed, by held-out values (numbers, label-value pairs, lines, dates) and by held-out layouts (tile grid, font,
size and style together).

## Training

| stage | steps x rows | minutes |
|---|---|---|
{stages}

The first three rows made the backbones, nano-vision and nano-lm, which are shared by nano-d, nano-x and nano-h;
so is the order of samples in the others. Minutes are wall clock on a shared machine of two cores, one or two threads.
Naming and alignment are no stages of the paper's, and the loss of the latter goes on beside the paper's in both of its:
`recipes/nano/naming.py` and `alignment.py`, decisions 0034, 0043 and 0047. In the second part of SFT an answer names
first what it rests on, as in `root: 31`; in the third part half of the text-only rows tell of scenes in words
(decisions 0048 and 0049). Make it again with

```
nvlm train nano --arch {name}
```

## Accuracy

On the held-out test split, {count} questions per task, answers generated greedily; exact match of the answer, which is
what follows the colon where it names first what it rests on (captions: share of coloured shapes and relations named
right), with 95 % intervals. Measured by
`nvlm eval nano-{name} --limit {count}`.

| tasks | score | target | floor |
|---|---|---|---|
{groups}

{verdict}

| task | score |
|---|---|
{tasks}

## What it cannot do

Its vocabulary has {vocabulary} tokens, and it has seen only drawn pictures: no photographs, no handwriting, no words
outside its vocabulary except letter by letter, no arithmetic beyond one-digit sums, no world knowledge. Questions in
other words than those of its tasks get arbitrary answers, and it is always confident. Pictures are cut into at most
6 tiles of 64 pixels, so small print is lost. Benchmarks other than its own compare whole answers, and count
`root: 31` as wrong where 31 is meant.
"""

TRIED = """\
The loss was still falling when the schedule ended. What was tried, and what limits the family, stands in
decisions 0034, 0043, 0045, 0047, 0048 and 0049."""


def write_card(
    folder: Path,
    architecture: str,
    stages: list[Trained],
    parameters: int,
    vocabulary: int,
    scores: dict[str, Score],
    count: int,
) -> None:
    """Write ``README.md`` and ``scores.json`` into a finished model's folder."""
    card = CARD.format(
        name=architecture.lower(),
        architecture=architecture,
        places=PLACES[architecture],
        parameters=parameters / 1e6,
        stages=stage_rows(stages),
        count=count,
        groups="\n".join(_group_row(group, scores[group]) for group in GROUPS),
        verdict=_verdict(scores),
        tasks="\n".join(f"| {task} | {scores[task]} |" for tasks in GROUPS.values() for task in tasks),
        vocabulary=vocabulary,
    )
    (folder / "README.md").write_text(card, encoding="utf-8")
    listed = {task: asdict(score) for task, score in scores.items()}
    (folder / "scores.json").write_text(json.dumps(listed, indent=1), encoding="utf-8")


def trained_stages(folder: Path, architecture: str) -> list[Trained]:
    """The stages of one architecture, from the folder that holds them."""
    new = "connector" if architecture == "D" else "connector, cross-attention"
    return [
        trained("alignment: connector", folder / "align"),
        trained(f"pretraining: {new}", folder / "pretrain"),
        trained("SFT: the new parts and the language model", folder / "sft"),
        trained("SFT, answers with evidence", folder / "explain"),
        trained("SFT, and scenes told in words", folder / "conclude"),
    ]


def _group_row(group: str, score: Score) -> str:
    target, floor = TARGETS.get(group, (None, None))
    wanted = " | ".join("–" if share is None else f"{share:.0%}" for share in (target, floor))
    return f"| {group} | {score} | {wanted} |"


def _verdict(scores: dict[str, Score]) -> str:
    """What the targets say of the model, in words."""
    reached = [group for group, (target, _) in TARGETS.items() if scores[group].mean >= target]
    below = [group for group, (_, floor) in TARGETS.items() if scores[group].mean < floor]
    if len(reached) == len(TARGETS):
        return "Every target is reached."
    verdict = f"{len(reached)} of {len(TARGETS)} targets are reached and {len(TARGETS) - len(below)} floors."
    if below:
        verdict += " Below the floor:\n\n" + "\n".join(f"* {group}" for group in below)
    return f"{verdict}\n\n{TRIED}"
