"""The configuration of the model family: two backbones, one architecture, and what the paper leaves open as values."""

import copy
import os
from typing import Any, ClassVar

from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

from nvlm.modeling.architectures import Architecture, find_architecture
from nvlm.modeling.layouts import HUB_OPTIONS, LAYOUTS, find_layout
from nvlm.modeling.vision import grid_size, image_size

__all__ = ["NVLMConfig"]

OF_A_FILE = ("_name_or_path", "architectures", "dtype")
"""What a backbone's configuration says of the file that it was read from: its folder, which means nothing elsewhere,
and the class and number format it was in, where the whole model's count."""


class NVLMConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]
    """What `NVLMForConditionalGeneration` is made of.

    Args:
        vision_config: configuration (or its dictionary) of any transformers vision encoder with a square patch grid.
        text_config: configuration (or its dictionary) of a causal language model; Llama-shaped for X and H.
        architecture: "D", "X" or "H": a row of `nvlm.modeling.architectures.ARCHITECTURES`.
        image_token_id: the token that reserves one place for one projected image token (`<|vision_pad|>`).
        downsample: pixel shuffle factor; `downsample`² neighbouring patches become one token (2: 1,024 → 256, section
            4.1).
        vision_feature_layer: which layer of the encoder is read, as an index into its hidden states (0 is the patch
            embedding); -1 is the encoder's own output, after its last norm where it has one.
        projector_layers: linear layers of the projector; None is the architecture's published number (section 4.5).
        projector_norm: LayerNorm before the first linear layer.
        projector_bias: biases of the linear layers.
        projector_hidden_size: width between two linear layers; None is the language model's feed-forward width.
        projector_act: activation between two linear layers.
        cross_attention_every: k, cross-attention stands in the last layer of each group of k layers (72B: 8, 34B: 6).
        cross_attention_gate_init: start value of the gates; at 0 a new model gives exactly the language model's logits.
        cross_attention_warm_start: new cross-attention starts as a copy of its own layer's self-attention.
        cross_attention_feed_forward: an own, also gated, feed-forward after cross-attention (Flamingo's form).
        cross_attention_qk_norm: RMS norm of every head's queries and keys.
        cross_attention_tags_added: a tag in memory is also added to each token of its view (H). Memory has no order, so
            a tag that only stands beside its view does not tell whose tag it is.
        published: for a model that came from NVIDIA's layout, what that layout holds and this configuration has no
            place for; see `nvlm.checkpoints.published_config`.
    """

    model_type = "nvlm"
    sub_configs_defaults: ClassVar[dict[str, SubConfigSpec]] = {
        "vision_config": SubConfigSpec(config_class=AutoConfig, model_type="internvl_vision"),
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="qwen2"),
    }

    vision_config: Any = None
    text_config: Any = None
    architecture: str = "D"
    image_token_id: int = 151654
    downsample: int = 2
    vision_feature_layer: int = -1
    projector_layers: int | None = None
    projector_norm: bool = True
    projector_bias: bool = False
    projector_hidden_size: int | None = None
    projector_act: str = "gelu"
    cross_attention_every: int = 8
    cross_attention_gate_init: float = 0.0
    cross_attention_warm_start: bool = False
    cross_attention_feed_forward: bool = False
    cross_attention_qk_norm: bool = True
    cross_attention_tags_added: bool = False
    published: dict[str, Any] | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        for name in self.sub_configs:  # transformers sets values in them, and they may be those of a model in use
            setattr(self, name, copy.deepcopy(getattr(self, name)))
        super().__post_init__(**kwargs)  # type: ignore[no-untyped-call]
        find_architecture(self.architecture)
        if self.projector_layers not in (None, 1, 2):
            raise ValueError(f"projector_layers is {self.projector_layers}: the projector has 1 or 2 linear layers")

    @classmethod
    def get_config_dict(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The contents of config.json; those of another layout, NVIDIA's, as ours."""
        found, rest = super().get_config_dict(pretrained_model_name_or_path, **kwargs)
        layout = LAYOUTS.get(str(found.get("model_type")))
        if layout is None:
            return found, rest
        options = {name: kwargs[name] for name in HUB_OPTIONS if name in kwargs}
        return layout.own_config(found, str(pretrained_model_name_or_path), **options), rest

    def with_slots_of(self, source: str, **kwargs: Any) -> "NVLMConfig":
        """This configuration with the slot token that a folder or hub id in another layout, its tokenizer, names.

        AutoConfig reads config.json without knowing where the other files are, so it may not have found it.
        """
        if self.published is None or find_layout(source, **kwargs) is None:
            return self
        options = {name: kwargs[name] for name in HUB_OPTIONS if name in kwargs}
        config = copy.deepcopy(self)
        config.image_token_id = NVLMConfig.get_config_dict(source, **options)[0]["image_token_id"]
        return config

    def to_dict(self) -> dict[str, Any]:
        """As written: without what the backbones' configurations say of the files that they were read from."""
        found: dict[str, Any] = super().to_dict()
        for name in self.sub_configs:
            found[name] = {key: value for key, value in found[name].items() if key not in OF_A_FILE}
        return found

    @property
    def places(self) -> Architecture:
        """Where views and their tags go."""
        return find_architecture(self.architecture)

    @property
    def projector_depth(self) -> int:
        """Linear layers of the projector."""
        return self.places.projector_layers if self.projector_layers is None else self.projector_layers

    @property
    def tile_size(self) -> int:
        """Height and width in pixels of every view."""
        return image_size(self.vision_config)

    @property
    def tokens_per_view(self) -> int:
        """Image tokens that one view becomes, after pixel shuffle."""
        return (grid_size(self.vision_config) // self.downsample) ** 2

    @property
    def cross_attention_layers(self) -> tuple[int, ...]:
        """Indices of the decoder layers with cross-attention: the last of every group of `cross_attention_every`.

        The paper gives the spacing (every 6 of 60, every 8 of 80 layers: ten in both, section 4.5) and not the place in
        the group. The last layer of a group reads the image after its group's self-attention has placed the text.
        """
        if not self.places.in_memory:
            return ()
        depth, every = self.text_config.num_hidden_layers, self.cross_attention_every
        if every < 1 or depth % every:
            divisors = ", ".join(str(k) for k in range(1, depth + 1) if depth % k == 0)
            raise ValueError(
                f"cross_attention_every is {every} but the language model has {depth} layers, which makes groups of "
                f"unequal length; choose one of {divisors}"
            )
        return tuple(range(every - 1, depth, every))
