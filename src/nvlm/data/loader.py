"""From a blend to the micro-batches of a stage, in lanes; see `nvlm.training.lanes`."""

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from nvlm.data.bad_samples import BadSamples
from nvlm.data.blend import Blend, Share, check_folders, shares
from nvlm.data.laid_out import LayOut
from nvlm.data.lane import PackedLane, Work
from nvlm.data.packing import Budget, RowPlanner
from nvlm.data.picture_features import PictureFeatures
from nvlm.data.prepare import UNUSABLE
from nvlm.data.rows import FeatureViews, PixelViews, make_batch
from nvlm.data.stream import RawStream
from nvlm.processing import NVLMProcessor

COUNTED = 200
"""Samples of a folder whose tokens are counted, where weights count tokens: the mean is known to a few percent."""


@dataclass(frozen=True)
class Loading:
    """How a stage reads its blend. All but `max_bad_share`, `workers` and `ahead` change what the model sees.

    Attributes:
        tokens, memory_views, views: room of a row, see `Budget`.
        lanes: how many; a multiple of every number of data-parallel ranks that the run may have.
        rows: of a micro-batch.
        too_long: what becomes of text larger than a row: "drop" or "split", see `RowPlanner`.
        lookahead: samples that wait for a row.
        shuffle: samples that wait to be drawn.
        max_tiles: of a picture, in place of the processor's.
        system: a system turn before every conversation; empty for none.
        seed: of order and blending.
        max_bad_share: of a source's samples may be broken before training stops.
        workers: threads of a process that lay out, decode and read ahead; with 0 this is done when a batch is wanted.
        ahead: micro-batches of each lane that they make ahead.
    """

    tokens: int
    memory_views: int | None = None
    views: int | None = None
    lanes: int = 1
    rows: int = 1
    too_long: str = "drop"
    lookahead: int = 256
    shuffle: int = 1000
    max_tiles: int | None = None
    system: str = ""
    seed: int = 0
    max_bad_share: float = 0.01
    workers: int = 2
    ahead: int = 2

    def __post_init__(self) -> None:
        for name in ("lanes", "rows", "shuffle", "ahead"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.workers < 0:
            raise ValueError(f"workers is {self.workers}; it must be 0 or more")

    @property
    def budget(self) -> Budget:
        """Of a row."""
        return Budget(self.tokens, self.memory_views, self.views)


class BlendedBatches:
    """Packed micro-batches of a blend, as `nvlm.training.lanes.Batches` describes them.

    Args:
        blend: of prepared folders.
        processor: of the model.
        loading: how it is read.
        features: of the frozen encoder, in place of pixels.
        bad_samples: folder for the lists of samples that cannot be used, ``lane-00.jsonl`` …; ``None`` keeps none, as
            on all but one of the ranks that read the same lane.

    Raises:
        ValueError: folders are missing (the message names all), or settings make no sense.
    """

    def __init__(
        self,
        blend: Blend,
        processor: NVLMProcessor,
        loading: Loading,
        *,
        features: PictureFeatures | None = None,
        bad_samples: Path | None = None,
    ) -> None:
        check_folders(blend)
        self._loading, self._bad_samples = loading, bad_samples
        lay_out = LayOut(processor, loading.tokens, loading.max_tiles, loading.system)
        views = PixelViews(processor) if features is None else FeatureViews(features)
        self._work = Work(lay_out, partial(make_batch, processor, views))
        self._pool: Executor | None = ThreadPoolExecutor(loading.workers, "nvlm-data") if loading.workers else None
        self.shares: list[Share] = shares(blend, self._mean_tokens)

    @property
    def lanes(self) -> int:
        """How many lanes there are."""
        return self._loading.lanes

    def open(self, lane: int) -> PackedLane:
        """Lane number ``lane``, at its start."""
        loading = self._loading
        if not 0 <= lane < loading.lanes:
            raise ValueError(f"there is no lane {lane}; there are {loading.lanes}, from 0 on")
        path = None if self._bad_samples is None else self._bad_samples / f"lane-{lane:02d}.jsonl"
        return PackedLane(
            RawStream(self.shares, lane, loading.lanes, seed=loading.seed, shuffle=loading.shuffle),
            RowPlanner(loading.budget, loading.lookahead, loading.too_long),
            self._work,
            rows=loading.rows,
            bad_samples=BadSamples(path, loading.max_bad_share),
            pool=self._pool,
            ahead=loading.ahead,
        )

    def _mean_tokens(self, address: str) -> float:
        """Mean tokens of a folder's samples, of the first ones in random order.

        Raises:
            ValueError: none of them can be used.
        """
        counted = list(self._lengths(address))
        if not counted:
            raise ValueError(f"none of {COUNTED} samples of {address} can be used, so their tokens cannot be counted")
        return sum(counted) / len(counted)

    def _lengths(self, address: str) -> Iterator[int]:
        for raw in islice(RawStream([Share(address, 1.0)], shuffle=1), COUNTED):
            try:
                yield len(self._work.lay_out(raw).row)
            except UNUSABLE:  # counted when it is drawn for training
                continue
