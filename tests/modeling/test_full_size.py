"""The published sizes, built without memory on the `meta` device: names, shapes and counts (section 4.5)."""

from functools import cache

import pytest
import torch
from transformers import AutoModelForCausalLM, InternVLVisionConfig, LlamaConfig, Qwen2Config

from nvlm.modeling import NVLMConfig, NVLMForConditionalGeneration
from tests.modeling.batches import EVERY_ARCHITECTURE

INTERNVIT_6B = dict(
    hidden_size=3200,
    num_hidden_layers=45,
    num_attention_heads=25,
    intermediate_size=12800,
    image_size=448,
    patch_size=14,
    use_qk_norm=True,
    norm_type="rms_norm",
    attention_bias=False,
)
QWEN2_72B = dict(
    vocab_size=152064,
    hidden_size=8192,
    intermediate_size=29568,
    num_hidden_layers=80,
    num_attention_heads=64,
    num_key_value_heads=8,
    tie_word_embeddings=False,
)
YI_34B = dict(
    vocab_size=64000,
    hidden_size=7168,
    intermediate_size=20480,
    num_hidden_layers=60,
    num_attention_heads=56,
    num_key_value_heads=8,
    tie_word_embeddings=False,
)
SIZES = {
    # name: language model, k, image token, parameters in billions: language model, two-layer projector, cross-attention
    "72B": (Qwen2Config, QWEN2_72B, 8, 151654, 72.71, 0.621, 1.51),
    "34B": (LlamaConfig, YI_34B, 6, 63999, 34.39, 0.409, 1.17),
}


@cache
def build(size: str, architecture: str) -> NVLMForConditionalGeneration:
    language_class, language, every, image_token, *_ = SIZES[size]
    config = NVLMConfig(
        architecture=architecture,
        vision_config=InternVLVisionConfig(**INTERNVIT_6B),
        text_config=language_class(**language),
        image_token_id=image_token,
        cross_attention_every=every,
    )
    with torch.device("meta"):
        return NVLMForConditionalGeneration(config)


def billions(module: torch.nn.Module, part: str = "") -> float:
    return sum(p.numel() for name, p in module.named_parameters() if part in name) / 1e9


@pytest.mark.parametrize("architecture", EVERY_ARCHITECTURE)
@pytest.mark.parametrize("size", SIZES)
def test_counts_are_within_one_percent(size: str, architecture: str):
    nvlm = build(size, architecture)
    *_, language, projector, cross_attention = SIZES[size]
    added = billions(nvlm, ".cross_attention.")
    assert billions(nvlm.vision_model) == pytest.approx(5.54, rel=0.01)
    assert billions(nvlm.language_model) - added == pytest.approx(language, rel=0.01)
    if architecture == "X":
        width = nvlm.config.text_config.hidden_size
        assert billions(nvlm.connector) == pytest.approx(12800 * width / 1e9, rel=0.01)
    else:
        assert billions(nvlm.connector) == pytest.approx(projector, rel=0.01)
    assert added == (pytest.approx(cross_attention, rel=0.01) if architecture != "D" else 0.0)
    assert len(nvlm.cross_attentions()) == (0 if architecture == "D" else 10)


@pytest.mark.parametrize("size", SIZES)
def test_own_feed_forwards_are_the_large_part(size: str):
    """With Flamingo's feed-forward the ten layers cost 4.40 B and 7.27 B more: why it is off unless asked for."""
    language_class, language, every, image_token, *_ = SIZES[size]
    one_group = language | {"num_hidden_layers": every}
    config = NVLMConfig(
        architecture="X",
        vision_config=InternVLVisionConfig(**INTERNVIT_6B | {"num_hidden_layers": 1}),
        text_config=language_class(**one_group),
        image_token_id=image_token,
        cross_attention_every=every,
        cross_attention_feed_forward=True,
    )
    with torch.device("meta"):
        nvlm = NVLMForConditionalGeneration(config)
    assert 10 * billions(nvlm, ".feed_forward.") == pytest.approx({"72B": 7.27, "34B": 4.40}[size], rel=0.01)


@pytest.mark.parametrize("size", SIZES)
def test_names_and_shapes(size: str):
    shapes = {name: tuple(p.shape) for name, p in build(size, "H").named_parameters()}
    text = build(size, "H").config.text_config
    width, groups, every = text.hidden_size, 8 * 128, SIZES[size][2]
    expected = {
        "connector.norm.weight": (12800,),
        "connector.projector.0.weight": (text.intermediate_size, 12800),
        "connector.projector.2.weight": (width, text.intermediate_size),
        "vision_model.embeddings.cls_token": (1, 1, 3200),
        "vision_model.embeddings.position_embeddings": (1, 1025, 3200),
        "vision_model.embeddings.patch_embeddings.projection.weight": (3200, 3, 14, 14),
        "vision_model.encoder.layer.44.attention.q_norm.weight": (3200,),
        "vision_model.encoder.layer.44.attention.q_proj.weight": (3200, 3200),
        "vision_model.encoder.layer.44.lambda_1": (3200,),
        "vision_model.encoder.layer.44.mlp.fc1.weight": (12800, 3200),
        "language_model.lm_head.weight": (text.vocab_size, width),
        "language_model.model.embed_tokens.weight": (text.vocab_size, width),
        "language_model.model.layers.0.self_attn.k_proj.weight": (groups, width),
        "language_model.model.layers.0.mlp.down_proj.weight": (width, text.intermediate_size),
        "language_model.model.norm.weight": (width,),
    }
    for number in range(10):
        branch = f"language_model.model.layers.{(number + 1) * every - 1}.cross_attention"
        expected |= {
            f"{branch}.gate": (1,),
            f"{branch}.norm.weight": (width,),
            f"{branch}.q_proj.weight": (width, width),
            f"{branch}.k_proj.weight": (groups, width),
            f"{branch}.v_proj.weight": (groups, width),
            f"{branch}.o_proj.weight": (width, width),
            f"{branch}.q_norm.weight": (128,),
            f"{branch}.k_norm.weight": (128,),
        }
    assert {name: shapes.get(name) for name in expected} == expected
    added = {name for name in shapes if ".cross_attention." in name}
    assert added == {name for name in expected if ".cross_attention." in name}
    assert "connector.projector.0.bias" not in shapes


@pytest.mark.parametrize("size", SIZES)
def test_without_the_new_parts_every_name_is_the_language_models(size: str):
    language_class, language, *_ = SIZES[size]
    with torch.device("meta"):
        bare = AutoModelForCausalLM.from_config(language_class(**language))
    named = build(size, "X").language_model.named_parameters()
    ours = {name: p.shape for name, p in named if ".cross_attention." not in name}
    assert ours == {name: p.shape for name, p in bare.named_parameters()}
