"""NVIDIA's config.json of NVLM-D ↔ `NVLMConfig`, and the processor that goes with it.

`NVLMConfig.published` keeps, for a model that came from there:

* `config`: NVIDIA's config.json as it was, so that fields without a place of ours are not lost;
* `dummy_heads` and `dummy_norm`: what the encoder was stored with (`published.note_padding`).
"""

import copy
import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer
from transformers.utils.hub import cached_file

from nvlm.checkpoints.published_checks import (
    LANGUAGE_MODEL,
    MODEL_TYPE,
    SLOT,
    THUMBNAIL_TAG,
    check_own,
    check_processor,
    check_published,
    is_published,
)
from nvlm.modeling.config import NVLMConfig
from nvlm.modeling.layouts import HUB_OPTIONS
from nvlm.modeling.vision import grid_size
from nvlm.processing.image_processor import NVLMImageProcessor
from nvlm.processing.processor import NVLMProcessor

__all__ = [
    "MODEL_TYPE",
    "PublishedConfig",
    "from_published",
    "is_published",
    "own_dict",
    "published_processor",
    "to_published_config",
]

SLOT_ID = 151654
"""Of `<|vision_pad|>` in Qwen2's vocabulary."""

SETTINGS = frozenset(inspect.signature(NVLMProcessor).parameters) - {"image_processor", "tokenizer"}
"""Of a processor; whatever else transformers passes along is for other classes, as in its own `from_pretrained`."""

VISION_FIELDS = {
    "attention_dropout": "attention_dropout",
    "dropout": "projection_dropout",
    "hidden_act": "hidden_act",
    "hidden_size": "hidden_size",
    "image_size": "image_size",
    "initializer_factor": "layer_scale_init_value",
    "initializer_range": "initializer_range",
    "intermediate_size": "intermediate_size",
    "layer_norm_eps": "layer_norm_eps",
    "norm_type": "norm_type",
    "num_attention_heads": "num_attention_heads",
    "num_channels": "num_channels",
    "num_hidden_layers": "num_hidden_layers",
    "patch_size": "patch_size",
    "qk_normalization": "use_qk_norm",
    "qkv_bias": "attention_bias",
}
"""NVIDIA's `vision_config` → transformers' `InternVLVisionConfig`."""

VISION_DEFAULTS = {"norm_type": "rms_norm", "qk_normalization": True}
"""Where NVIDIA's class has another default than transformers'."""

TEXT_FIELDS = (
    "attention_dropout",
    "bos_token_id",
    "eos_token_id",
    "hidden_act",
    "hidden_size",
    "initializer_range",
    "intermediate_size",
    "max_position_embeddings",
    "max_window_layers",
    "num_attention_heads",
    "num_hidden_layers",
    "num_key_value_heads",
    "pad_token_id",
    "rms_norm_eps",
    "sliding_window",
    "tie_word_embeddings",
    "use_cache",
    "use_sliding_window",
    "vocab_size",
)
"""Of `llm_config` and of `Qwen2Config` alike."""

ALWAYS: dict[str, Any] = {
    "architectures": [MODEL_TYPE],
    "auto_map": {
        "AutoConfig": "configuration_nvlm_d.NVLM_D_Config",
        "AutoModel": "modeling_nvlm_d.NVLM_D_Model",
        "AutoModelForCausalLM": "modeling_nvlm_d.NVLM_D_Model",
    },
    "dynamic_image_size": True,
    "max_dynamic_patch": 6,
    "min_dynamic_patch": 1,
    "model_type": MODEL_TYPE,
    "pad2square": False,
    "ps_version": "v2",
    "template": "chatml",
    "use_backbone_lora": 0,
    "use_llm_lora": 0,
    "use_thumbnail": True,
    "llm_config": {"architectures": [LANGUAGE_MODEL], "model_type": "qwen2"},
    "vision_config": {
        "architectures": ["InternVisionModel"], "drop_path_rate": 0.0, "model_type": "intern_vit_6b",
        "use_flash_attn": True,
    },
}  # fmt: skip
"""What NVIDIA's config.json says for every model, beside what is read from ours."""


def from_published(published: dict[str, Any], source: str | Path = "") -> NVLMConfig:
    """NVIDIA's config.json as ours.

    Args:
        published: its contents.
        source: the folder or hub id that it is from, where the tokenizer says which token fills slots; Qwen2's where
            this is empty.

    Raises:
        ValueError: it describes something that this family cannot do, or is no config.json of NVIDIA's.
    """
    config: NVLMConfig = NVLMConfig.from_dict(own_dict(published, str(source)))
    return config


def own_dict(published: dict[str, Any], source: str = "", **hub: Any) -> dict[str, Any]:
    """As `from_published`, but as the dictionary that our config.json would hold; `hub` are options for its files."""
    check_published(published)
    vision, text = published["vision_config"], published["llm_config"]
    own = {
        "model_type": NVLMConfig.model_type,
        "architecture": "D",
        "downsample": round(1 / published.get("downsample_ratio", 0.5)),
        "vision_feature_layer": published.get("select_layer", -1),
        "image_token_id": _slot_id(source, text["vocab_size"], **hub),
        "vision_config": {"model_type": "internvl_vision", **_own_vision(vision)},
        "text_config": {"model_type": "qwen2", **_own_text(text)},
        "published": {"config": copy.deepcopy(published)},
    }
    if dtype := published.get("torch_dtype", published.get("dtype")):
        own["dtype"] = dtype
    return own


def to_published_config(config: NVLMConfig, processor: NVLMProcessor | None = None) -> dict[str, Any]:
    """Our configuration as NVIDIA's config.json.

    Of a model that came from NVIDIA's layout it is the same as it was, but for what has changed since.

    Args:
        config: of an NVLM-D.
        processor: of the same model, which says how many tiles an image has; six and a thumbnail where None.

    Raises:
        ValueError: the model, or its processor, is something that NVIDIA's class and vLLM cannot do.
    """
    check_own(config)
    original = (config.published or {}).get("config")
    fields = _fields(config)
    if original is None:
        published = _merged(ALWAYS, fields)
    else:
        published = _merged(original, _changed(_fields(from_published(original)), fields))
    if processor is not None:
        check_processor(processor)
        tiling = {
            "max_dynamic_patch": processor.image_processor.max_tiles,
            "use_thumbnail": processor.image_processor.thumbnail,
        }
        changed = _changed(_tiling(published), tiling)
        if "max_dynamic_patch" in changed:
            changed["dynamic_image_size"] = True
        published = _merged(published, changed)
    return published


def published_processor(source: str | Path, **kwargs: Any) -> NVLMProcessor:
    """The processor of a model in NVIDIA's layout: tags inline, ChatML without a default system turn.

    Args:
        source: a folder or a hub id.
        kwargs: settings of `NVLMProcessor` in place of the published ones, and options to find files on the hub.

    Raises:
        ValueError: config.json cannot be read as one of ours, or the tokenizer has no token for slots.
    """
    hub = {name: kwargs[name] for name in HUB_OPTIONS if name in kwargs}
    changes = {name: value for name, value in kwargs.items() if name in SETTINGS}
    config = NVLMConfig.from_pretrained(source, **hub)
    tiling = _tiling((config.published or {})["config"])
    image_processor = NVLMImageProcessor(
        tile_size=config.tile_size, max_tiles=tiling["max_dynamic_patch"], thumbnail=tiling["use_thumbnail"]
    )
    settings = {
        "tokens_per_view": config.tokens_per_view,
        "thumbnail_tag": THUMBNAIL_TAG,
        "tags_tokenized": "inline",
        "image_token": SLOT,
        "max_length": config.text_config.max_position_embeddings,
    }
    return NVLMProcessor(image_processor, AutoTokenizer.from_pretrained(source, **hub), **settings | changes)


class PublishedConfig(NVLMConfig):  # type: ignore[no-untyped-call]
    """NVIDIA's `model_type` for AutoConfig; what it reads becomes an `NVLMConfig`."""

    model_type = MODEL_TYPE

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """NVIDIA's config.json, read by AutoConfig, as ours.

        AutoConfig keeps its options for the hub to itself, so the tokenizer is read only if it is here already; the
        model looks for it again (`NVLMConfig.with_slots_of`).
        """
        own = own_dict(config_dict, str(kwargs.get("name_or_path", "")), local_files_only=True)
        return NVLMConfig.from_dict(own, **kwargs)

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Any:
        """As `NVLMConfig.from_pretrained`, which reads both layouts."""
        return NVLMConfig.from_pretrained(*args, **kwargs)


def _own_vision(published: Mapping[str, Any]) -> dict[str, Any]:
    published = {**VISION_DEFAULTS, **published}
    own = {ours: published[name] for name, ours in VISION_FIELDS.items() if name in published}
    return own | {side: [own[side], own[side]] for side in ("image_size", "patch_size")}


def _own_text(published: Mapping[str, Any]) -> dict[str, Any]:
    own = {name: published[name] for name in TEXT_FIELDS if name in published}
    scaling = dict(published.get("rope_scaling") or {})
    kind = scaling.pop("type", "default")
    rope = {"rope_type": kind, **scaling, "rope_theta": published.get("rope_theta", 10000.0)}
    return own | {"rope_parameters": rope}


def _fields(config: NVLMConfig) -> dict[str, Any]:
    """Those fields of NVIDIA's config.json that follow from our configuration."""
    vision, text = config.vision_config, config.text_config
    rope = dict(text.rope_parameters)
    theta = rope.pop("rope_theta")
    sides = {"image_size": config.tile_size, "patch_size": config.tile_size // grid_size(vision)}
    fields: dict[str, Any] = {
        "downsample_ratio": 1 / config.downsample,
        "force_image_size": config.tile_size,
        "select_layer": config.vision_feature_layer,
        "vision_config": {name: getattr(vision, ours) for name, ours in VISION_FIELDS.items()} | sides,
        "llm_config": {
            **{name: getattr(text, name) for name in TEXT_FIELDS},
            "rope_theta": theta,
            "rope_scaling": None if rope.get("rope_type", "default") == "default" else rope,
        },
    }
    if config.dtype is not None:
        dtype = {"torch_dtype": str(config.dtype).removeprefix("torch.")}
        fields = _merged(fields, {**dtype, "vision_config": dtype, "llm_config": dtype})
    return fields


def _tiling(published: Mapping[str, Any]) -> dict[str, Any]:
    """How many tiles an image has, with the defaults of NVIDIA's class."""
    dynamic = published.get("dynamic_image_size", True)
    return {
        "max_dynamic_patch": published.get("max_dynamic_patch", 6) if dynamic else 1,
        "use_thumbnail": published.get("use_thumbnail", False),
    }


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Two nested dictionaries as one; `over` wins."""
    result = copy.deepcopy(dict(base))
    for name, value in over.items():
        nested = isinstance(value, Mapping) and isinstance(result.get(name), Mapping)
        result[name] = _merged(result[name], value) if nested else copy.deepcopy(value)
    return result


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What `after` says otherwise than `before`."""
    changed: dict[str, Any] = {}
    for name, value in after.items():
        old = before.get(name)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            if inner := _changed(old, value):
                changed[name] = inner
        elif value != old:
            changed[name] = value
    return changed


def _slot_id(source: str, vocabulary: int, **hub: Any) -> int:
    """The token that fills slots, from the first of a tokenizer's files that names it; Qwen2's where there is none."""
    for name in ("tokenizer_config.json", "added_tokens.json", "tokenizer.json") if source else ():
        path = cached_file(
            source,
            name,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
            **hub,
        )
        if path is None:
            continue
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        if name == "tokenizer_config.json":
            tokens = {row["content"]: int(number) for number, row in content.get("added_tokens_decoder", {}).items()}
        elif name == "added_tokens.json":
            tokens = content
        else:
            tokens = {row["content"]: int(row["id"]) for row in content.get("added_tokens", ())}
        if SLOT in tokens:
            return tokens[SLOT]
    if source and vocabulary <= SLOT_ID and not hub.get("local_files_only"):
        raise ValueError(
            f"the tokenizer of {source} has no token {SLOT!r} for image slots, and a vocabulary of {vocabulary} tokens "
            f"has no place for Qwen2's, {SLOT_ID}; are its tokenizer files whole?"
        )
    return SLOT_ID
