"""What a recipe is: the parts of a model and the stages it goes through, as frozen dataclasses.

A recipe is a function of the architecture that returns a ``Recipe``. Derive a new one from one that is there with
``dataclasses.replace``, and give it a row in ``recipes/known.py``.
"""

from dataclasses import dataclass, replace
from typing import Any

from transformers import AutoConfig, PreTrainedConfig

from nvlm.modeling.config import NVLMConfig
from nvlm.planning.measured import MeasuredStep
from nvlm.processing.tags import DEFAULT_TAGS, Tags
from nvlm.training.stages import Stage


@dataclass(frozen=True)
class Backbone:
    """A vision encoder or a language model.

    Attributes:
        weights: hub id or folder; empty where the recipe trains it itself.
        model_type: its family's name in transformers.
        values: of its configuration: those that decide its size. The rest comes with the weights.
    """

    weights: str
    model_type: str
    values: dict[str, Any]

    def config(self) -> PreTrainedConfig:
        """Its configuration."""
        made: PreTrainedConfig = AutoConfig.for_model(self.model_type, **self.values)
        return made


@dataclass(frozen=True)
class Model:
    """What is put together.

    Attributes:
        architecture: "D", "X" or "H".
        vision, language: the backbones.
        image_token_id: the language model's token that reserves a place for an image token.
        tag_tokens: tokens of a tile's tag under the language model's tokenizer.
        downsample: pixel shuffle factor.
        cross_attention_every: cross-attention stands in the last layer of each group of so many.
        cross_attention_gate_init: start value of the gates.
        cross_attention_warm_start: whether new cross-attention starts as a copy of its layer's self-attention.
        cross_attention_tags_added: whether a tag in memory is also added to the tokens of its view.
        new_tokens: added to the language model's vocabulary if they are not in it, in this order.
    """

    architecture: str
    vision: Backbone
    language: Backbone
    image_token_id: int
    tag_tokens: int
    cross_attention_every: int
    downsample: int = 2
    cross_attention_gate_init: float = 0.0
    cross_attention_warm_start: bool = False
    cross_attention_tags_added: bool = False
    new_tokens: tuple[str, ...] = ()

    def config(self) -> NVLMConfig:
        """The whole model's configuration, with rows for new tokens where the language model has none left."""
        language: Any = self.language.config()
        if self.image_token_id >= language.vocab_size:
            language.vocab_size += len(self.new_tokens)
        return NVLMConfig(
            architecture=self.architecture,
            vision_config=self.vision.config(),
            text_config=language,
            image_token_id=self.image_token_id,
            downsample=self.downsample,
            cross_attention_every=self.cross_attention_every,
            cross_attention_gate_init=self.cross_attention_gate_init,
            cross_attention_warm_start=self.cross_attention_warm_start,
            cross_attention_tags_added=self.cross_attention_tags_added,
        )


@dataclass(frozen=True, kw_only=True)
class ImageStage(Stage):
    """A stage on samples with pictures.

    Attributes:
        length: tokens of the decoder's sequence that a sample may have, image tokens in it included.
        max_tiles: regular tiles of a picture; with more than one there is a thumbnail as well.
        supervised: share of a sample's text that has a loss; 1, the most, where nobody knows.
        tags: how views are named in the text.
        rows: samples of full length that go through the model together on one GPU; packed, they are one row of
            ``rows * length`` tokens.
        row_views: views that such a row has room for.
        too_long: what becomes of samples that no row has room for: "drop" leaves them out, "split" cuts text into
            pieces that are trained one by one; pictures are never split. Both are counted in the log.
        lanes: streams of micro-batches, a multiple of every number of data-parallel ranks that a run may have; see
            `nvlm.training.lanes`.
        stored_features: pictures come as stored features of the frozen encoder.
        tensor_parallel, pipeline_parallel: how the paper spread a model over GPUs; ``nvlm plan`` finds its own way.
        horizon: the step at which the cosine reaches the final rate; 0 is the stage's last.
    """

    length: int
    max_tiles: int
    supervised: float = 1.0
    tags: Tags = DEFAULT_TAGS
    rows: int = 1
    row_views: int = 32
    too_long: str = "drop"
    lanes: int = 8
    stored_features: bool = False
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    horizon: int = 0

    def rate(self, step: int) -> float:
        """Learning rate of ``step`` as a share of the peak; the cosine may end before the stage or after it."""
        return Stage.rate(replace(self, steps=self.horizon or self.steps), step)


@dataclass(frozen=True)
class Recipe:
    """How one model is made.

    Attributes:
        name: of the recipe.
        model: what is put together.
        pretrain, sft: the paper's two stages (section 4.2).
        measured: a published time of a step, to compare a plan with.
        note: what the card of a finished model says besides.
    """

    name: str
    model: Model
    pretrain: ImageStage
    sft: ImageStage
    measured: MeasuredStep | None = None
    note: str = ""

    @property
    def stages(self) -> tuple[ImageStage, ...]:
        """In the order in which they run."""
        return self.pretrain, self.sft
