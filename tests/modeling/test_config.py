"""The configuration: what follows from it, what it refuses, and that it survives a file."""

import pytest
from transformers import AutoConfig, AutoModelForCausalLM, SiglipVisionConfig

from nvlm.modeling import NVLMConfig
from tests.modeling.batches import EVERY_ARCHITECTURE, config, model, text_config, vision_config


@pytest.mark.parametrize("architecture", EVERY_ARCHITECTURE)
def test_round_trip_through_a_folder(architecture: str, tmp_path):
    before = config(architecture, projector_act="silu", downsample=4)
    before.save_pretrained(tmp_path)
    after = AutoConfig.from_pretrained(tmp_path)
    assert isinstance(after, NVLMConfig)
    assert after.to_dict() | {"_name_or_path": ""} == before.to_dict()


def test_defaults_describe_the_published_connector():
    published = NVLMConfig()
    assert (published.architecture, published.downsample, published.tile_size) == ("D", 2, 448)
    assert published.tokens_per_view == 256
    assert (published.projector_norm, published.projector_bias, published.projector_act) == (True, False, "gelu")


@pytest.mark.parametrize(("architecture", "layers"), [("D", 2), ("X", 1), ("H", 2)])
def test_projector_depth_follows_the_architecture_unless_given(architecture: str, layers: int):
    assert config(architecture).projector_depth == layers
    assert config(architecture, projector_layers=2).projector_depth == 2


def test_another_architecture_from_the_same_values_gets_its_own_projector():
    values = config("D").to_dict()
    assert NVLMConfig(**(values | {"architecture": "X"})).projector_depth == 1


@pytest.mark.parametrize(("depth", "every", "expected"), [(80, 8, 10), (60, 6, 10), (4, 2, 2), (4, 1, 4)])
def test_cross_attention_stands_in_the_last_layer_of_each_group(depth: int, every: int, expected: int):
    layers = config(
        "X", text_config=text_config(num_hidden_layers=depth), cross_attention_every=every
    ).cross_attention_layers
    assert len(layers) == expected
    assert layers[0] == every - 1 and layers[-1] == depth - 1


def test_groups_of_unequal_length_are_refused_with_numbers():
    with pytest.raises(ValueError, match=r"cross_attention_every is 3 but .* has 4 layers.*choose one of 1, 2, 4"):
        model("H", cross_attention_every=3)


def test_d_has_no_cross_attention_whatever_the_spacing():
    assert config("D", cross_attention_every=3).cross_attention_layers == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "Z"}, "unknown architecture 'Z'"),
        ({"projector_layers": 3}, "projector_layers is 3"),
    ],
)
def test_values_that_mean_nothing_are_refused(changes: dict, message: str):
    with pytest.raises(ValueError, match=message):
        NVLMConfig(**changes)


def test_slot_token_outside_the_vocabulary_is_refused_with_numbers():
    with pytest.raises(ValueError, match="image_token_id is 151654 but the vocabulary has 96 tokens"):
        model("D", image_token_id=151654)


def test_downsample_must_divide_the_grid():
    with pytest.raises(ValueError, match="downsample is 3 but the encoder's grid is 4 x 4"):
        model("D", downsample=3)


def test_views_are_square():
    with pytest.raises(ValueError, match="16 x 32: a view is a square"):
        config("D", vision_config=vision_config(image_size=(16, 32))).tile_size  # noqa: B018


def test_tile_size_of_an_encoder_with_plain_numbers():
    siglip = SiglipVisionConfig(image_size=384, patch_size=16)
    assert config("D", vision_config=siglip).tile_size == 384
    assert config("D", vision_config=siglip).tokens_per_view == 144


def test_the_configurations_of_models_in_use_stay_as_they_are():
    language = AutoModelForCausalLM.from_config(text_config("llama"))
    before = language.config.to_dict(), language.config._attn_implementation
    made = NVLMConfig(text_config=language.config, image_token_id=3)
    assert (language.config.to_dict(), language.config._attn_implementation) == before
    assert made.text_config is not language.config
