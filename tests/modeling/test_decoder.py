"""The third branch: names stay, hooks stay, and layers of another shape are refused."""

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    GPT2Config,
    GraniteConfig,
    Olmo2Config,
    PhiConfig,
    PreTrainedConfig,
)

from nvlm.modeling import NVLMForConditionalGeneration
from nvlm.modeling.decoder import CrossAttentionDecoderLayer
from tests.modeling.batches import FAMILIES, VOCAB, Picture, batch, config, model, text, text_config

SMALL = dict(vocab_size=VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=4, num_attention_heads=4)
GROUPED = SMALL | dict(num_key_value_heads=2, pad_token_id=0, bos_token_id=None, eos_token_id=None)
GPT2 = dict(vocab_size=VOCAB, n_embd=32, n_layer=4, n_head=4, bos_token_id=None, eos_token_id=None)


@pytest.mark.parametrize("family", FAMILIES)
def test_parameter_names_of_the_language_model_do_not_change(family: str):
    bare = set(AutoModelForCausalLM.from_config(text_config(family)).state_dict())
    names = {name.removeprefix("language_model.") for name in model("X", family).state_dict()}
    assert bare <= names
    added = {name for name in names - bare if not name.startswith(("vision_model.", "connector."))}
    assert added and all(
        name.startswith(("model.layers.1.cross_attention.", "model.layers.3.cross_attention.")) for name in added
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_the_layer_stays_an_instance_of_its_own_class(family: str):
    layers = model("X", family).language_model.model.layers
    assert [isinstance(layer, CrossAttentionDecoderLayer) for layer in layers] == [False, True, False, True]
    assert isinstance(layers[1], type(layers[0]))
    assert type(layers[1]) is type(layers[3])
    assert type(layers[1]).__name__ == f"CrossAttention{type(layers[0]).__name__}"


def test_no_layer_may_be_split_over_devices():
    assert {"CrossAttentionQwen2DecoderLayer", "Qwen2DecoderLayer", "InternVLVisionLayer"} <= model(
        "X"
    )._no_split_modules


@pytest.mark.parametrize("architecture", ["D", "X"])
def test_hidden_states_and_attentions_of_every_layer_can_be_asked_for(architecture: str):
    nvlm = model(architecture, attn_implementation="eager")
    outputs = nvlm(**batch(architecture, [Picture(2), text(3)]), output_hidden_states=True, output_attentions=True)
    assert (len(outputs.hidden_states), len(outputs.attentions)) == (5, 4)
    differ = [not torch.equal(a, b) for a, b in zip(outputs.hidden_states, outputs.hidden_states[1:], strict=False)]
    assert all(differ)


@pytest.mark.parametrize(
    ("language", "found"),
    [
        (GPT2Config(**GPT2), "at model.layers.*GPT2LMHeadModel has transformer, lm_head"),
        (Gemma2Config(**GROUPED), "Gemma2DecoderLayer has .*pre_feedforward_layernorm"),
        (Olmo2Config(**GROUPED), "Olmo2DecoderLayer has .*post_feedforward_layernorm"),
        (PhiConfig(**SMALL), "PhiDecoderLayer has .*resid_dropout"),
        (GraniteConfig(**GROUPED, residual_multiplier=0.5), "GraniteDecoderLayer has those children and computes"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, PreTrainedConfig) else "",
)
@pytest.mark.filterwarnings("ignore")
def test_a_layer_of_another_shape_is_refused(language: PreTrainedConfig, found: str):
    with pytest.raises(ValueError, match=f"cross-attention needs .*{found}"):
        NVLMForConditionalGeneration(config("X", text_config=language))


def test_the_same_language_model_as_d_is_fine():
    """D adds nothing to the layers, so any causal language model will do."""
    nvlm = NVLMForConditionalGeneration(config("D", text_config=Gemma2Config(**GROUPED, head_dim=8))).eval()
    assert nvlm(**batch("D", [Picture(1), text(3)])).logits.isfinite().all()


def test_a_language_model_is_taken_over_once():
    nvlm = model("X")
    with pytest.raises(ValueError, match=r"has .*cross_attention"):
        NVLMForConditionalGeneration.from_backbones(config("H"), language_model=nvlm.language_model)
