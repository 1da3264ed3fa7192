"""Train, validation and test differ by seed *and* by held-out values and layouts.

Every random choice of a task that a model could memorise (a number, a pair of a word and a font, the contents of a
row …) is written as a short key; the key's hash puts it into exactly one split, and a generator draws again until the
key falls into its own.
"""

import hashlib
import random
from collections.abc import Callable
from typing import Literal, TypeVar

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

T = TypeVar("T")


def split_of(key: str) -> Split:
    """The only split in which ``key`` may be drawn: 8 in 10 train, 1 in 10 validation, 1 in 10 test."""
    bucket = hashlib.blake2b(key.encode(), digest_size=2).digest()[0] % 10
    return "validation" if bucket == 8 else "test" if bucket == 9 else "train"


def generator(split: Split, task: str, index: int) -> random.Random:
    """A random generator of its own for each (split, task, index)."""
    return random.Random(f"{split}/{task}/{index}")


def draw(choose: Callable[[], T], key: Callable[[T], str], split: Split, tries: int = 1000) -> T:
    """Choose until the choice belongs to ``split``.

    Raises:
        RuntimeError: no choice fell into the split: the task has too few values to hold any out.
    """
    for _ in range(tries):
        value = choose()
        if split_of(key(value)) == split:
            return value
    raise RuntimeError(f"none of {tries} draws belongs to the {split} split; last key: {key(value)!r}")
