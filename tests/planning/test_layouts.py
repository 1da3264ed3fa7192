"""The split by layers: against the model card's own arithmetic, and over every parameter of every architecture."""

import math

import pytest
from accelerate.utils import check_device_map
from transformers import GPTNeoXConfig

import nvlm
from nvlm.modeling import NVLMConfig
from nvlm.planning.layouts import device_map, layers_per_gpu, split_by_layers
from tests.modeling.batches import EVERY_ARCHITECTURE, config, model, vision_config
from tests.modeling.test_full_size import build


def card_split(num_layers: int, world_size: int) -> dict[str, int]:
    """`split_model` as the model card writes it, in our module names."""
    device_map = {}
    num_layers_per_gpu = math.ceil(num_layers / (world_size - 0.5))
    num_layers_per_gpu = [num_layers_per_gpu] * world_size
    num_layers_per_gpu[0] = math.ceil(num_layers_per_gpu[0] * 0.5)
    layer_cnt = 0
    for i, num_layer in enumerate(num_layers_per_gpu):
        for _ in range(num_layer):
            device_map[f"language_model.model.layers.{layer_cnt}"] = i
            layer_cnt += 1
    device_map["vision_model"] = 0
    device_map["connector"] = 0
    device_map["language_model.model.embed_tokens"] = 0
    device_map["language_model.model.norm"] = 0
    device_map["language_model.model.rotary_emb"] = 0
    device_map["language_model.lm_head"] = 0
    device_map[f"language_model.model.layers.{num_layers - 1}"] = 0
    return device_map


@pytest.mark.parametrize("gpus", range(1, 9))
def test_the_split_is_the_cards(gpus: int) -> None:
    expected = card_split(80, gpus)
    beyond = [name for name in expected if name.startswith("language_model.model.layers.") and int(name[28:]) >= 80]
    for name in beyond:  # the card rounds up, and names layers that are not there
        del expected[name]
    assert split_by_layers(build("72B", "D"), gpus) == expected


@pytest.mark.parametrize("architecture", EVERY_ARCHITECTURE)
def test_every_parameter_has_a_place(architecture: str) -> None:
    full = build("72B", architecture)
    places = split_by_layers(full, 4)
    check_device_map(full, places)
    layers = [place for name, place in places.items() if ".layers." in name]
    assert layers == [0] * 12 + [1] * 23 + [2] * 23 + [3] * 21 + [0]
    assert {place for name, place in places.items() if ".layers." not in name} == {0}


def test_more_gpus_than_layers() -> None:
    places = device_map(config("H"), 8)
    assert [place for name, place in places.items() if ".layers." in name] == [0, 1, 2, 0]
    assert nvlm.device_map(config("H"), gpus=8) == places
    assert layers_per_gpu(4, 1) == [4]


def test_a_language_model_of_another_shape() -> None:
    text = GPTNeoXConfig(
        vocab_size=64, hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=48
    )
    other = NVLMConfig(vision_config=vision_config(), text_config=text, image_token_id=1)
    places = device_map(other, 2)
    assert places["language_model.gpt_neox.embed_in"] == 0
    assert places["language_model.gpt_neox.layers.1"] == 1
    assert "language_model.gpt_neox.layers.3" not in places
    check_device_map(nvlm.NVLMForConditionalGeneration(other), places)


def test_what_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="gpus is 0, but a model stands on at least 1"):
        device_map(config("D"), 0)
    odd = model("D")
    odd.config.text_config.num_hidden_layers = 7
    with pytest.raises(ValueError, match="has 7 layers but no list of so many modules"):
        split_by_layers(odd, 2)
