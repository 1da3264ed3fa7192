"""A model small enough to train in milliseconds, with dropout so that the random generator matters."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from nvlm.training.loop import train
from nvlm.training.stages import Stage

STAGE = Stage(
    name="toy", trainable=("*",), steps=12, batch=4, peak_lr=1e-2, final_lr=1e-3, warmup=3, matrix_lr=0.02, seed=7
)

Part = tuple[Tensor, Tensor]


class Toy(nn.Module):
    """An embedding, a matrix, a vector, dropout and a head: something for each optimiser."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.embed = nn.Embedding(11, 8)
        self.body = nn.Sequential(nn.Linear(8, 8), nn.GELU(), nn.Dropout(0.3), nn.LayerNorm(8))
        self.lm_head = nn.Linear(8, 11, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B, S) → logits (B, S, 11)."""
        logits: Tensor = self.lm_head(self.body(self.embed(tokens)))
        return logits

    def loss(self, part: Part) -> Tensor:
        """Half of a step's loss: every step has two parts."""
        tokens, targets = part
        return nn.functional.cross_entropy(self(tokens).flatten(0, 1), targets.flatten()) / 2


def batch_of(step: int) -> list[Part]:
    """Two parts, always the same for the same step."""
    generator = torch.Generator().manual_seed(step)
    numbers = torch.randint(0, 11, (2, 4, 5), generator=generator)
    return [(tokens, (tokens * 3 + 1) % 11) for tokens in numbers]


def run(
    folder: Path, stage: Stage = STAGE, *, resume: bool = False, save_every: float = 300, stop_after: int | None = None
) -> Toy:
    """Train a fresh toy in ``folder``; the trained model."""
    model = Toy()
    train(stage, model, batch_of, model.loss, folder, resume=resume, save_every=save_every, stop_after=stop_after)
    return model


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    """Are all parameters equal, bit for bit?"""
    pairs: Iterator[tuple[Tensor, Tensor]] = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)
