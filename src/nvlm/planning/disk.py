"""Disk that a stage needs: shards of samples, features of the frozen encoder, checkpoints."""

from collections.abc import Iterable
from dataclasses import dataclass

from nvlm.modeling.config import NVLMConfig
from nvlm.modeling.vision import grid_size
from nvlm.planning.parameters import Count
from nvlm.planning.workload import Workload, shape_of

__all__ = ["KEPT", "Disk", "disk_of"]

PICTURE_BYTES = 200_000
"""Of an average JPEG of a megapixel; an assumption."""
TEXT_BYTES = 4
"""Of an average token, uncompressed; an assumption."""
FEATURE_BYTES = 2
CHECKPOINT_BYTES = 12
"""Of a parameter that learns, in a checkpoint of training: float32 weight and two moments."""
EXPORT_BYTES = 2
KEPT = 2
"""Checkpoints of training that are kept."""


@dataclass(frozen=True)
class Disk:
    """Bytes.

    Attributes:
        shards: pictures as JPEG and texts, every sample once.
        features: the frozen encoder's output for every sample's views.
        checkpoint: one checkpoint of training; `KEPT` are kept, and one more while it is written.
        export: the finished model.
    """

    shards: int
    features: int
    checkpoint: int
    export: int


def disk_of(config: NVLMConfig, workload: Workload, parts: Iterable[Count]) -> Disk:
    """Disk for one stage in which no sample is seen twice."""
    vision, views = config.vision_config, shape_of(config, workload).views
    counts = list(parts)
    return Disk(
        shards=workload.samples * (min(workload.tiles, 1) * PICTURE_BYTES + workload.text * TEXT_BYTES),
        features=workload.samples * views * grid_size(vision) ** 2 * vision.hidden_size * FEATURE_BYTES,
        checkpoint=CHECKPOINT_BYTES * sum(count.learning for count in counts),
        export=EXPORT_BYTES * sum(count.total for count in counts),
    )
