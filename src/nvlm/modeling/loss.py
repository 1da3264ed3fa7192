"""Next-token loss over the supervised tokens only."""

import torch
from torch import Tensor, nn

__all__ = ["IGNORED", "predicting_rows", "supervised_loss"]

IGNORED = -100
"""Label of a token that is not supervised."""


def predicting_rows(labels: Tensor) -> Tensor:
    """(B, S) bool: positions whose next token is supervised. Only they need logits."""
    return nn.functional.pad(labels[:, 1:] != IGNORED, (0, 1))


def supervised_loss(logits: Tensor, labels: Tensor, num_items_in_batch: Tensor | int | None = None) -> Tensor:
    """Sum of the supervised tokens' cross-entropy / their number.

    Args:
        logits: (supervised tokens, vocabulary), the rows that `predicting_rows(labels)` selects.
        labels: (B, S), -100 where not supervised.
        num_items_in_batch: number of supervised tokens of the global batch, when it is spread over ranks or micro
            batches.
    """
    targets = labels[:, 1:][labels[:, 1:] != IGNORED].to(logits.device)
    total = nn.functional.cross_entropy(logits.float(), targets, reduction="sum")
    count = torch.as_tensor(targets.numel() if num_items_in_batch is None else num_items_in_batch, device=total.device)
    return total / count.clamp(min=1)
