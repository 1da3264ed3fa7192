"""What NVIDIA's layout of NVLM-D and this family can both do: everything else is refused, with both sides named."""

from collections.abc import Mapping
from typing import Any

from transformers import PreTrainedConfig

from nvlm.modeling.config import NVLMConfig
from nvlm.processing.normalise import IMAGENET_MEAN, IMAGENET_STD
from nvlm.processing.processor import NVLMProcessor

__all__ = ["check_own", "check_processor", "check_published", "is_published"]

MODEL_TYPE = "NVLM_D"
LANGUAGE_MODEL = "Qwen2ForCausalLM"
"""The only language model that NVIDIA's class, and vLLM's, take."""

SLOT = "<|vision_pad|>"
THUMBNAIL_TAG = "<tile_global_thumbnail>"

QK_NORM_EPS = 1e-6
"""That transformers' encoder computes the norms of q and k with, whatever its configuration says."""

NEEDED = {
    "vision_config": (
        "hidden_size", "image_size", "intermediate_size", "num_attention_heads", "num_hidden_layers", "patch_size",
    ),
    "llm_config": (
        "hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers", "num_key_value_heads",
        "vocab_size",
    ),
}  # fmt: skip
"""Without a default here."""

EXACT = (1, 2, 4, 8)
"""Pixel shuffle factors that 1 can be divided by without rounding."""

AS_PUBLISHED = (("ps_version", "v2", "v1"), ("min_dynamic_patch", 1, 1), ("pad2square", False, False))
"""Fields with one value that can be read, and the default of NVIDIA's class."""


def is_published(config: Mapping[str, Any]) -> bool:
    """Is this a config.json of NVIDIA's layout?"""
    return config.get("model_type") == MODEL_TYPE or MODEL_TYPE in (config.get("architectures") or ())


def check_published(published: Mapping[str, Any]) -> None:
    """Refuse a config.json of NVIDIA's that cannot be read as a model of ours.

    Raises:
        ValueError: it is one.
    """
    if not is_published(published):
        raise ValueError(
            f"this config.json is of the family {published.get('model_type')!r}; NVIDIA's layout of NVLM-D says "
            f"{MODEL_TYPE!r}"
        )
    if (packed := published.get("quantization_config")) is not None:
        raise ValueError(
            f"these weights are quantised already ({packed.get('quant_method', 'by an unnamed method')}), and only "
            "unquantised ones can be taken over; load the original, and quantise while loading"
        )
    for section, names in NEEDED.items():
        if missing := [name for name in names if name not in (published.get(section) or {})]:
            raise ValueError(f"config.json lacks {', '.join(f'{section}.{name}' for name in missing)}")
    text, vision = published["llm_config"], published["vision_config"]
    language = (text.get("architectures") or [LANGUAGE_MODEL])[0]
    if language != LANGUAGE_MODEL or text.get("model_type", "qwen2") != "qwen2":
        raise ValueError(
            f"llm_config is a {language} ({text.get('model_type')}), but NVLM-D in NVIDIA's layout has a "
            f"{LANGUAGE_MODEL} (qwen2)"
        )
    for name, wanted, default in AS_PUBLISHED:
        if (found := published.get(name, default)) != wanted:
            raise ValueError(f"config.json has {name} {found!r}; only {wanted!r}, as in NVLM-D-72B, can be loaded")
    if not (1 / published.get("downsample_ratio", 0.5)).is_integer():
        raise ValueError(
            f"config.json has downsample_ratio {published['downsample_ratio']}; it must be 1 by a whole number, as 0.5 "
            "is, where two by two patches become one token"
        )
    if (tile := published.get("force_image_size") or vision["image_size"]) != vision["image_size"]:
        raise ValueError(f"force_image_size is {tile} but the encoder's image_size is {vision['image_size']}")
    _check_eps(vision.get("qk_normalization", True), vision.get("layer_norm_eps", QK_NORM_EPS))


def check_own(config: NVLMConfig) -> None:
    """Refuse a model of ours that NVIDIA's layout has no place for.

    Raises:
        ValueError: it is one.
    """
    vision, text = config.vision_config, config.text_config
    if config.architecture != "D":
        raise ValueError(f"this is an NVLM-{config.architecture}, but NVIDIA's layout, and vLLM, know NVLM-D only")
    if text.model_type != "qwen2":
        raise ValueError(
            f"the language model is of the family {text.model_type!r}; NVIDIA's class, and vLLM's, take only 'qwen2'"
        )
    if vision.model_type != "internvl_vision":
        raise ValueError(
            f"the vision encoder is of the family {vision.model_type!r}; NVIDIA's class, and vLLM's, take only "
            "'internvl_vision' (InternViT)"
        )
    if getattr(config, "quantization_config", None) is not None:
        raise ValueError("the weights are quantised; NVIDIA's layout takes unquantised ones, so export before that")
    wanted = {
        "use_absolute_position_embeddings": True, "use_mask_token": False, "use_mean_pooling": True,
    }  # fmt: skip
    _check_same("vision_config.", vision, wanted)
    projector = {
        "projector_depth": 2, "projector_norm": True, "projector_bias": False, "projector_act": "gelu",
    }  # fmt: skip
    _check_same("", config, projector)
    if config.downsample not in EXACT:
        raise ValueError(
            f"downsample is {config.downsample}, but NVIDIA's layout has a downsample_ratio, which is exact for "
            f"{', '.join(map(str, EXACT))} only"
        )
    if (hidden := config.projector_hidden_size or text.intermediate_size) != text.intermediate_size:
        raise ValueError(
            f"projector_hidden_size is {hidden}, but in NVIDIA's layout it is the language model's intermediate_size "
            f"({text.intermediate_size})"
        )
    _check_eps(vision.use_qk_norm, vision.layer_norm_eps)


def _check_same(where: str, config: PreTrainedConfig, wanted: Mapping[str, Any]) -> None:
    for name, value in wanted.items():
        if (found := getattr(config, name)) != value:
            raise ValueError(f"{where}{name} is {found!r}, but NVIDIA's layout, and vLLM, know {value!r} only")


def _check_eps(qk_norm: bool, eps: float) -> None:
    if qk_norm and eps != QK_NORM_EPS:
        raise ValueError(
            f"layer_norm_eps is {eps}; in NVIDIA's layout the norms of q and k have it too, but transformers' encoder "
            f"computes these with {QK_NORM_EPS} always"
        )


def check_processor(processor: NVLMProcessor) -> None:
    """Refuse a processor that writes prompts, or prepares pictures, otherwise than NVIDIA's class and vLLM do.

    Tags that are tokenised alone are let through: the text is the same, and only tokens at the edges of tags differ.

    Raises:
        ValueError: it is one.
    """
    wanted = {"tag_format": "1d", "thumbnail_tag": THUMBNAIL_TAG, "image_token": SLOT}
    found = {name: getattr(processor, name) for name in wanted}
    pixels = {"mean": list(IMAGENET_MEAN), "std": list(IMAGENET_STD)}
    found |= {name: list(getattr(processor.image_processor, name)) for name in pixels}
    for name, value in (wanted | pixels).items():
        if found[name] != value:
            raise ValueError(f"the processor's {name} is {found[name]!r}, but NVIDIA's class, and vLLM, use {value!r}")
