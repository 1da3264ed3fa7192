"""What a stage asks of a model: samples of one size, many times."""

from dataclasses import dataclass
from typing import NamedTuple

from nvlm.modeling.config import NVLMConfig
from nvlm.modeling.views import Views

__all__ = ["Shape", "Workload", "shape_of"]


@dataclass(frozen=True)
class Workload:
    """A stage as the planner sees it: every sample has the same size.

    Attributes:
        name: of the stage.
        trainable: patterns (`fnmatch`) of the parameter names that learn.
        steps: optimiser steps.
        batch: samples of a step, over all GPUs.
        text: tokens of a sample beside image tokens and tile tags.
        tiles: regular tiles of the sample's picture; 1 is a picture of one view, 0 none at all.
        tag_tokens: tokens of the tag before a view; 0 without tags.
        supervised: tokens with a loss.
        moments: running averages that the optimiser keeps of a parameter: AdamW two, Muon one.
        rows: samples that go through the model together on one GPU.
        stored_features: pictures come as stored features of the frozen encoder, which then does not run.
        published: how its authors spread it over GPUs, in words.
    """

    name: str
    trainable: tuple[str, ...]
    steps: int
    batch: int
    text: int
    tiles: int
    tag_tokens: int
    supervised: int
    moments: int = 2
    rows: int = 1
    stored_features: bool = False
    published: str = ""

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("batch", 1), ("text", 1), ("tiles", 0), ("tag_tokens", 0), ("rows", 1)):
            if (value := getattr(self, name)) < least:
                raise ValueError(f"{name} of stage {self.name} is {value}; it must be at least {least}")
        if not 0 < self.supervised <= self.text:
            raise ValueError(f"{self.supervised} of {self.text} text tokens of stage {self.name} have a loss")

    @property
    def samples(self) -> int:
        """Samples of the whole stage."""
        return self.steps * self.batch


class Shape(NamedTuple):
    """How long one sample is: `views` of its picture, tokens in the `sequence`, tokens in `memory`."""

    views: int
    sequence: int
    memory: int


def shape_of(config: NVLMConfig, workload: Workload) -> Shape:
    """Where the tokens of a sample stand. A one-tile picture has one view, which counts as the thumbnail."""
    places, tokens = config.places, config.tokens_per_view
    tiles = workload.tiles if workload.tiles > 1 else 0
    sequence, memory = workload.text, 0
    for kind, count in ((Views.TILES, tiles), (Views.THUMBNAIL, min(workload.tiles, 1))):
        if kind in places.in_sequence:
            sequence += count * tokens
        else:
            memory += count * tokens
        if kind in places.tags_in_sequence:
            sequence += count * workload.tag_tokens
        else:
            memory += count * workload.tag_tokens
    return Shape(tiles + min(workload.tiles, 1), sequence, memory)
