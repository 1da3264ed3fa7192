"""The loss of every source, also where a micro-batch holds samples of several: from what the model's head gives."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from nvlm.modeling.loss import IGNORED

Spans = Sequence[tuple[str, int]]
"""One sample after another, in the order of the rows: its source and how many of its tokens have a loss."""

TOGETHER = 128
"""Tokens whose logits stand in float32 a second time."""


@contextmanager
def heard(model: nn.Module, wanted: bool) -> Iterator[list[Tensor]]:
    """Collect the logits that the model's head gives meanwhile; none of a model without a head of its own."""
    logits: list[Tensor] = []
    head: Any = getattr(model, "get_output_embeddings", lambda: None)() if wanted else None
    if head is None:
        yield logits
        return
    handle = head.register_forward_hook(lambda module, inputs, output: logits.append(output.detach()))
    try:
        yield logits
    finally:
        handle.remove()


@torch.no_grad()
def losses_by_source(logits: list[Tensor], labels: Tensor, spans: Spans) -> dict[str, tuple[Tensor, int]]:
    """By source, the sum of its tokens' losses and their number.

    Nothing where the head did not give one row for each token that has a loss.
    """
    targets = labels[:, 1:][labels[:, 1:] != IGNORED]
    if len(logits) != 1 or len(targets) != sum(count for _, count in spans):
        return {}
    whole = logits[0].full_tensor() if isinstance(logits[0], DTensor) else logits[0]
    rows = whole.flatten(0, -2)
    if len(rows) != len(targets):
        return {}
    pairs = zip(torch.split(rows, TOGETHER), torch.split(targets, TOGETHER), strict=True)
    losses = torch.cat([nn.functional.cross_entropy(few.float(), wanted, reduction="none") for few, wanted in pairs])
    found: dict[str, tuple[Tensor, int]] = {}
    for (source, count), part in zip(spans, torch.split(losses, [count for _, count in spans]), strict=True):
        total, of = found.get(source, (losses.new_zeros(()), 0))
        found[source] = total + part.sum(), of + count
    return found
