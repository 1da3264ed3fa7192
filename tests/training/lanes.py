"""Tiny models, and lanes that differ: ranks see text only, pictures only, or both."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from nvlm.modeling import NVLMForConditionalGeneration
from nvlm.planning.sharding import Layout
from nvlm.training.engine import Engine
from nvlm.training.loop import Interrupted, train
from nvlm.training.stages import Stage
from tests.modeling import batches as made

STAGE = Stage(
    name="tiny",
    trainable=("connector.*", "language_model.*"),
    steps=3,
    batch=8,
    peak_lr=1e-3,
    final_lr=1e-4,
    warmup=0,
    weight_decay=0.1,
)
SHOWN = ("text", "pictures", "both", "packed")
STORED = ("features", "text", "packed", "features")
SMALL = ("thumbnail", "pictures", "text", "thumbnail")
"""What the rows of each lane hold. Two ranks see two kinds each, four ranks one."""


def micro_batch(architecture: str, kind: str, lane: int, number: int) -> dict[str, Any]:
    """The ``number``-th micro-batch of a lane; no two are alike."""
    seed = 100 * lane + number
    words = [made.text(9 + (seed + row) % 5, seed + row) for row in range(2)]
    pictures = {
        "both": [[made.Picture(3)], []],
        "thumbnail": [[made.Picture(1)], [made.Picture(1)]],
        "pictures": [[made.Picture(3)], [made.Picture(1 if number % 2 else 2)]],
        "features": [[], [made.Picture(2)]],
    }.get(kind, [[], []])
    rows = [[each[:3], *shown, each] if shown else [each] for each, shown in zip(words, pictures, strict=True)]
    batch = made.with_labels(made.batch(architecture, *rows, seed=seed), 4 + lane)
    tokens, images = int(batch["attention_mask"].sum()), sum(map(len, pictures))
    if kind == "features":
        views = len(batch.pop("pixel_values"))
        batch["image_features"] = torch.randn(views, 16, 16, generator=torch.Generator().manual_seed(seed))
    accounting: dict[str, Any] = {kind: {"samples": 2, "tokens": tokens, "images": images}}
    if kind == "packed":
        batch = packed(words)
        accounting |= {"row_tokens": 64, "spans": [("packed", len(words[0]) - 1), ("more", len(words[1]) - 1)]}
    return batch | {"accounting": accounting}


def packed(samples: list[list[int]]) -> dict[str, Any]:
    """Samples of text in one row; all tokens but the first of each are supervised."""
    ids = torch.tensor([[token for sample in samples for token in sample]])
    positions = torch.cat([torch.arange(len(sample)) for sample in samples])[None]
    return {"input_ids": ids, "position_ids": positions, "labels": ids.masked_fill(positions == 0, -100)}


class Lanes:
    """A lane of every kind; micro-batches depend on lane and number alone."""

    def __init__(self, architecture: str, kinds: tuple[str, ...]) -> None:
        self.architecture, self.kinds, self.lanes = architecture, kinds, len(kinds)

    def open(self, lane: int) -> "OneLane":
        return OneLane(self.architecture, self.kinds[lane], lane)


class OneLane:
    """Counts; what it has given is also its state as a tensor and as bytes."""

    def __init__(self, architecture: str, kind: str, lane: int) -> None:
        self.architecture, self.kind, self.lane, self.number = architecture, kind, lane, 0

    def __next__(self) -> dict[str, Any]:
        self.number += 1
        return micro_batch(self.architecture, self.kind, self.lane, self.number - 1)

    def state_dict(self) -> dict[str, Any]:
        return {"lane": self.lane, "number": torch.tensor(self.number), "held": [b"\x00\xff", None, 1.5]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        assert state["lane"] == self.lane
        assert state["held"] == [b"\x00\xff", None, 1.5]
        self.number = int(state["number"])

    def close(self) -> None:
        pass


def tiny(architecture: str) -> NVLMForConditionalGeneration:
    """A model of which every part matters, without dropout. In double precision, so that sums in another order do not
    turn gradients that are nothing but rounding into whole steps of AdamW."""
    return made.model(architecture, "qwen3", cross_attention_feed_forward=True).double()


def losses(folder: Path) -> list[float]:
    """The loss of every step in a run's log."""
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(len(rows)))
    return [row["loss"] for row in rows]


def told(folder: Path) -> dict[str, float]:
    """All that a run's log says of its sources."""
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return {
        f"{row['step']} {source} {name}": value
        for row in rows
        for source, about in row["sources"].items()
        for name, value in about.items()
    }


def weights(model: NVLMForConditionalGeneration) -> dict[str, float]:
    """A number for every learning parameter, whole."""
    found = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            whole: Tensor = parameter.detach()
            whole = whole.full_tensor() if isinstance(whole, DTensor) else whole
            found[name] = float((whole * torch.arange(1, whole.numel() + 1).reshape(whole.shape).sin()).sum())
    return found


def run(
    folder: Path,
    architecture: str,
    layout: Layout | None = None,
    kinds: tuple[str, ...] = SHOWN,
    stage: Stage = STAGE,
    *,
    stop_after: int | None = None,
    resume: bool = False,
    **engine: Any,
) -> dict[str, float]:
    """Train a tiny model on the lanes; what became of it."""
    model = tiny(architecture)
    with suppress(Interrupted):
        train(
            stage,
            model,
            Lanes(architecture, kinds),
            None,
            folder,
            engine=Engine(layout=layout, **engine),
            resume=resume,
            stop_after=stop_after,
        )
    return weights(model)
