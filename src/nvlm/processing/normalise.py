"""uint8 views → normalised float32 views, once per batch, through a table of the 3 × 256 possible values."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@cache
def _table(mean: tuple[float, ...], std: tuple[float, ...]) -> NDArray[np.float32]:
    """(3, 256): (level / 255 - mean) / std, each operation rounded to float32 as tensor code rounds it."""
    levels = np.arange(256, dtype=np.float32) / np.float32(255)
    table = levels - np.asarray(mean, np.float32)[:, None]
    return table / np.asarray(std, np.float32)[:, None]


def normalise(
    views: NDArray[np.uint8], mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD
) -> torch.Tensor:
    """uint8 (V, T, T, 3) → float32 (V, 3, T, T), bit for bit what float32 `(x / 255 - mean) / std` gives.

    Raises:
        ValueError: the views are not uint8 with three channels last.
    """
    if views.dtype != np.uint8 or views.ndim != 4 or views.shape[-1] != 3:
        raise ValueError(f"views must be uint8 of shape (V, T, T, 3), not {views.dtype} of shape {views.shape}")
    table = _table(tuple(mean), tuple(std))
    normalised = np.empty((len(views), 3, *views.shape[1:3]), np.float32)
    for view, out in zip(views, normalised, strict=True):
        for channel in range(3):
            table[channel].take(view[..., channel].astype(np.intp), out=out[channel], mode="clip")  # clip: unbuffered
    return torch.from_numpy(normalised)
