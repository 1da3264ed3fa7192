"""NVIDIA's config.json ↔ ours: nothing lost, what changed is changed, and what cannot be is refused."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import CLIPVisionConfig, LlamaConfig

from nvlm.checkpoints.published_config import (
    from_published,
    is_published,
    published_processor,
    to_published_config,
)
from nvlm.checkpoints.small import small_config
from nvlm.modeling.config import NVLMConfig
from nvlm.processing.processor import NVLMProcessor
from tests.checkpoints.configs import full_size

SHIPPED = Path(__file__).parents[2] / "src" / "nvlm" / "models"


def changed(change: dict[str, Any], base: dict[str, Any] | None = None) -> dict[str, Any]:
    """A config.json with other values; `a.b` is nested, None leaves the field out."""
    config = copy.deepcopy(small_config() if base is None else base)
    for path, value in change.items():
        *outer, name = path.split(".")
        section = config
        for part in outer:
            section = section[part]
        if value is None:
            section.pop(name, None)
        else:
            section[name] = value
    return config


def saved_and_read(config: NVLMConfig, folder: Path) -> NVLMConfig:
    config.save_pretrained(folder)
    read: NVLMConfig = NVLMConfig.from_pretrained(folder)
    return read


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"some_field_of_theirs": {"deep": [1, None, 2.5]}, "llm_config.their_field": "kept"},
        {"torch_dtype": None, "select_layer": None, "downsample_ratio": None, "force_image_size": None},
        {"vision_config.qkv_bias": None, "vision_config.norm_type": None, "vision_config.qk_normalization": None},
        {"vision_config.qkv_bias": True, "vision_config.norm_type": "layer_norm", "vision_config.dropout": 0.1},
        {"vision_config.qk_normalization": False, "vision_config.layer_norm_eps": 1e-5},
        {"llm_config.rope_theta": None, "llm_config.tie_word_embeddings": None, "llm_config.sliding_window": None},
        {"llm_config.rope_scaling": {"type": "linear", "factor": 2.0}},
        {"llm_config.use_sliding_window": True},
        {"select_layer": -2, "max_dynamic_patch": 12, "use_thumbnail": False, "dynamic_image_size": False},
    ],
    ids=str,
)
def test_there_and_back_is_equal(change: dict[str, Any], tmp_path: Path) -> None:
    published = changed(change)
    before = copy.deepcopy(published)
    config = from_published(published)
    assert published == before
    assert to_published_config(config) == published
    assert to_published_config(saved_and_read(config, tmp_path)) == published


def test_what_the_72b_becomes() -> None:
    config = from_published(full_size())
    assert (config.architecture, config.downsample, config.vision_feature_layer) == ("D", 2, -1)
    assert (config.tile_size, config.tokens_per_view, config.image_token_id) == (448, 256, 151654)
    assert (config.projector_depth, config.projector_norm, config.projector_bias) == (2, True, False)
    assert config.dtype == torch.bfloat16
    vision, text = config.vision_config, config.text_config
    assert vision.model_type == "internvl_vision"
    assert (vision.hidden_size, vision.num_attention_heads, vision.num_hidden_layers) == (3200, 25, 45)
    assert (vision.norm_type, vision.use_qk_norm, vision.attention_bias) == ("rms_norm", True, False)
    assert (vision.image_size, vision.patch_size, vision.layer_scale_init_value) == ([448, 448], [14, 14], 0.1)
    assert text.model_type == "qwen2"
    assert text.rope_parameters == {"rope_type": "default", "rope_theta": 1e6}
    assert (text.rms_norm_eps, text.max_position_embeddings, text.eos_token_id) == (1e-6, 32768, 151645)
    assert set(text.layer_types) == {"full_attention"}


def test_our_own_files_do_not_look_like_theirs(tmp_path: Path) -> None:
    published = small_config()
    config = from_published(published)
    config.save_pretrained(tmp_path)
    own = json.loads((tmp_path / "config.json").read_text())
    assert is_published(published) and not is_published(own)
    assert own["model_type"] == "nvlm"
    assert "auto_map" not in own and "llm_config" not in own


def test_what_has_changed_since_is_changed_there_and_nothing_else(published: Path) -> None:
    original = json.loads((published / "config.json").read_text())
    config, processor = from_published(original, published), published_processor(published)
    assert to_published_config(config, processor) == original
    processor.image_processor.max_tiles = 4
    config.text_config.rope_parameters["rope_theta"] = 5e5
    config.text_config.max_position_embeddings = 4096
    config.dtype = torch.float32
    assert to_published_config(config, processor) == changed(
        {
            "max_dynamic_patch": 4,
            "llm_config.rope_theta": 5e5,
            "llm_config.max_position_embeddings": 4096,
            "torch_dtype": "float32",
            "llm_config.torch_dtype": "float32",
            "vision_config.torch_dtype": "float32",
        },
        original,
    )


def test_one_tile_without_a_thumbnail(published: Path) -> None:
    original = json.loads((published / "config.json").read_text())
    config, processor = from_published(original, published), published_processor(published)
    processor.image_processor.max_tiles, processor.image_processor.thumbnail = 1, False
    written = to_published_config(config, processor)
    assert (written["max_dynamic_patch"], written["use_thumbnail"]) == (1, False)


def test_a_fixed_size_becomes_dynamic(published: Path) -> None:
    original = changed({"dynamic_image_size": False}, json.loads((published / "config.json").read_text()))
    config, processor = from_published(original, published), published_processor(published)
    assert processor.image_processor.max_tiles == 6
    assert to_published_config(config, processor)["dynamic_image_size"] is True
    processor.image_processor.max_tiles = 1
    assert to_published_config(config, processor) == original


def test_the_shipped_d_model_fits_there() -> None:
    """Its numbers come back; fields that NVIDIA's class and vLLM read are all there."""
    folder = SHIPPED / "nano-d"
    config, processor = NVLMConfig.from_pretrained(folder), NVLMProcessor.from_pretrained(folder)
    written = to_published_config(config, processor)
    expected = small_config()
    untaken = {"attention_bias", "mlp_bias", "_name_or_path"}  # of llm_config: read by nobody for a Qwen2
    assert set(written) == set(expected)
    assert set(expected["llm_config"]) - untaken <= set(written["llm_config"])
    assert set(expected["vision_config"]) <= set(written["vision_config"])
    assert (written["model_type"], written["architectures"]) == ("NVLM_D", ["NVLM_D"])
    assert (written["downsample_ratio"], written["force_image_size"]) == (0.5, 64)
    back = from_published(written)
    back.image_token_id, back.published = config.image_token_id, None
    for name in ("vision_config", "text_config"):
        assert getattr(back, name).to_dict() == getattr(config, name).to_dict()
    own = {
        "cross_attention_every",
        "cross_attention_gate_init",
        "cross_attention_warm_start",
        "cross_attention_tags_added",
        "architectures",
    }
    own |= {"projector_layers"}  # two, by its number or as D has it anyway
    before, after = config.to_dict(), back.to_dict()
    assert {name for name in before if before[name] != after.get(name)} <= own


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "internvl_chat", "architectures": ["InternVLChatModel"]}, "family 'internvl_chat'.*'NVLM_D'"),
        ({"llm_config.architectures": ["LlamaForCausalLM"]}, "is a LlamaForCausalLM .*has a Qwen2ForCausalLM"),
        ({"llm_config.model_type": "llama"}, r"\(llama\), but .* \(qwen2\)"),
        ({"ps_version": "v1"}, "ps_version 'v1'; only 'v2'"),
        ({"ps_version": None}, "ps_version 'v1'; only 'v2'"),
        ({"min_dynamic_patch": 2}, "min_dynamic_patch 2; only 1"),
        ({"pad2square": True}, "pad2square True; only False"),
        ({"force_image_size": 448}, "force_image_size is 448 but the encoder's image_size is 112"),
        ({"vision_config.layer_norm_eps": 1e-5}, "layer_norm_eps is 1e-05.*with 1e-06 always"),
        ({"vision_config.num_hidden_layers": None}, r"lacks vision_config\.num_hidden_layers"),
        ({"llm_config": None}, r"lacks llm_config\.hidden_size, llm_config\.intermediate_size"),
        ({"quantization_config": {"quant_method": "bitsandbytes"}}, r"quantised already \(bitsandbytes\)"),
        ({"downsample_ratio": 0.4}, "downsample_ratio 0.4; it must be 1 by a whole number"),
    ],
    ids=str,
)
def test_what_cannot_be_read(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_published(changed(change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": "X"}, "an NVLM-X, but NVIDIA's layout, and vLLM, know NVLM-D only"),
        ({"text_config": LlamaConfig()}, "family 'llama'; NVIDIA's class, and vLLM's, take only 'qwen2'"),
        ({"vision_config": CLIPVisionConfig()}, "family 'clip_vision_model'; .* only 'internvl_vision'"),
        ({"projector_layers": 1}, "projector_depth is 1, but NVIDIA's layout, and vLLM, know 2 only"),
        ({"projector_bias": True}, "projector_bias is True"),
        ({"projector_norm": False}, "projector_norm is False"),
        ({"projector_act": "relu"}, "projector_act is 'relu'.*'gelu'"),
        ({"projector_hidden_size": 64}, r"projector_hidden_size is 64.*intermediate_size \(320\)"),
        ({"quantization_config": {"load_in_4bit": True}}, "the weights are quantised"),
        ({"vision_config.use_mean_pooling": False}, r"vision_config\.use_mean_pooling is False"),
        ({"vision_config.layer_norm_eps": 1e-5}, "layer_norm_eps is 1e-05"),
        ({"downsample": 3}, "downsample is 3, but .* exact for 1, 2, 4, 8 only"),
    ],
    ids=str,
)
def test_what_has_no_place_there(change: dict[str, Any], message: str) -> None:
    config = from_published(small_config())
    for path, value in change.items():
        *outer, name = path.split(".")
        setattr(getattr(config, outer[0]) if outer else config, name, value)
    with pytest.raises(ValueError, match=message):
        to_published_config(config)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("tag_format", "2d-box", "tag_format is '2d-box', but NVIDIA's class, and vLLM, use '1d'"),
        ("thumbnail_tag", "<tile_global>", "thumbnail_tag is '<tile_global>', but .*'<tile_global_thumbnail>'"),
        ("image_processor.mean", [0.5, 0.5, 0.5], r"mean is \[0\.5, 0\.5, 0\.5\]"),
    ],
)
def test_a_processor_that_has_no_place_there(name: str, value: Any, message: str, published: Path) -> None:
    processor: Any = published_processor(published)
    config = from_published(json.loads((published / "config.json").read_text()), published)
    *outer, last = name.split(".")
    setattr(processor.image_processor if outer else processor, last, value)
    with pytest.raises(ValueError, match=message):
        to_published_config(config, processor)


@pytest.mark.parametrize("holder", ["tokenizer_config.json", "added_tokens.json", "tokenizer.json"])
def test_the_slot_is_the_tokenizers(holder: str, published: Path, tmp_path: Path) -> None:
    contents = {
        "tokenizer_config.json": {"added_tokens_decoder": {"77": {"content": "<|vision_pad|>"}}},
        "added_tokens.json": {"<|vision_pad|>": 77},
        "tokenizer.json": {"added_tokens": [{"id": 77, "content": "<|vision_pad|>"}]},
    }
    (tmp_path / "tokenizer_config.json").write_text("{}")
    (tmp_path / holder).write_text(json.dumps(contents[holder]))
    assert from_published(small_config(), tmp_path).image_token_id == 77
    assert from_published(small_config()).image_token_id == 151654
