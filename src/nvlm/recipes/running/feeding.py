"""From a stage to its steps: packed rows in lanes, so many of them that a step holds the recipe's batch.

A recipe counts samples, and a packed row holds as many as fit. So the first samples of the blend are laid out, which
takes their text and the headers of their pictures, and the number of rows of a step follows from their mean size.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from nvlm.data.blend import Blend, Share
from nvlm.data.laid_out import LayOut
from nvlm.data.loader import BlendedBatches, Loading
from nvlm.data.packing import size_of
from nvlm.data.picture_features import PictureFeatures
from nvlm.data.prepare import UNUSABLE
from nvlm.data.stream import RawStream
from nvlm.processing import NVLMProcessor
from nvlm.recipes.recipe import ImageStage

MEASURED = 300
"""Samples that are measured."""

FILL = 0.97
"""Share of a row that is not padding, about."""


@dataclass(frozen=True)
class Mean:
    """What a sample of a blend takes on average.

    Attributes:
        tokens, supervised, views: of a sample.
    """

    tokens: float
    supervised: float
    views: float

    def per_row(self, loading: Loading) -> float:
        """Samples that a row has room for."""
        tokens = FILL * loading.tokens / self.tokens
        return tokens if not self.views or loading.views is None else min(tokens, FILL * loading.views / self.views)


@dataclass(frozen=True)
class Feeding:
    """The micro-batches of a stage.

    Attributes:
        batches: by lane.
        accumulate: micro-batches that every lane gives to a step.
        mean: of the blend's samples.
        samples: of a step, about.
        about: what the data is, for the record of the run.
    """

    batches: BlendedBatches
    accumulate: int
    mean: Mean
    samples: float
    about: dict[str, Any]

    def __str__(self) -> str:
        rows = self.batches.lanes * self.accumulate
        return (
            f"a step has {rows} rows ({self.batches.lanes} lanes x {self.accumulate}), about {self.samples:,.0f} "
            f"samples of {self.mean.tokens:,.0f} tokens and {self.mean.views:.1f} views"
        )


def feed(
    stage: ImageStage,
    blend: Blend,
    processor: NVLMProcessor,
    loading: Loading,
    *,
    features: PictureFeatures | None = None,
    bad_samples: Path | None = None,
) -> Feeding:
    """The micro-batches of a stage, its steps as near to the recipe's batch as whole rows allow.

    Args:
        loading: how the blend is read, see `loading_of`.
        features: in place of pixels.
        bad_samples: folder for the lists of samples that cannot be used.

    Raises:
        ValueError: folders are missing, no sample fits into a row, or none has a token with a loss.
    """
    batches = BlendedBatches(blend, processor, loading, features=features, bad_samples=bad_samples)
    mean = measure(batches.shares, processor, loading)
    accumulate = max(1, round(stage.batch / (mean.per_row(loading) * stage.lanes)))
    about = {"shares": [share._asdict() for share in batches.shares], "loading": asdict(loading), "mean": asdict(mean)}
    return Feeding(batches, accumulate, mean, mean.per_row(loading) * stage.lanes * accumulate, about)


def loading_of(stage: ImageStage) -> Loading:
    """How a stage's blend is read: one row at a time, as long as the recipe's samples that go together."""
    return Loading(
        tokens=stage.length * stage.rows,
        views=stage.row_views,
        lanes=stage.lanes,
        too_long=stage.too_long,
        seed=stage.seed,
    )


def measure(shares: Sequence[Share], processor: NVLMProcessor, loading: Loading) -> Mean:
    """The mean size of the blend's first samples, of those that fit into a row.

    Raises:
        ValueError: none of them fits, or none has a token with a loss.
    """
    lay_out = LayOut(processor, loading.tokens)
    sizes, supervised, seen = [], 0, 0
    for raw in islice(RawStream(shares, shuffle=1, seed=loading.seed), MEASURED):
        seen += 1
        try:
            row = lay_out(raw).row
        except UNUSABLE:  # counted when it is drawn for training
            continue
        if loading.budget.holds(size_of(row)):
            sizes.append(size_of(row))
            supervised += int(row.supervised[1:].sum())
    if not sizes:
        raise ValueError(
            f"0 of the first {seen} samples can be used and fit into a row of {loading.budget}; are length and "
            "row_views of the stage too small for the data?"
        )
    tokens = sum(size.tokens for size in sizes)
    if not supervised:
        raise ValueError(
            f"0 of the {tokens:,} tokens of the first {len(sizes)} samples have a loss; do the samples have answers, "
            "and does the chat template show where they begin?"
        )
    return Mean(tokens / len(sizes), supervised / len(sizes), sum(size.views for size in sizes) / len(sizes))
