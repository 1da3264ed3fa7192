"""Every supported encoder gives one row-major grid of patches, without its class and register tokens."""

import pytest
import torch
from transformers import (
    AutoModel,
    CLIPVisionConfig,
    Dinov2Config,
    Dinov2WithRegistersConfig,
    InternVLVisionConfig,
    PreTrainedConfig,
    Siglip2VisionConfig,
    SiglipVisionConfig,
    SwinConfig,
)

from nvlm.modeling.vision import encode, grid_size, image_size
from tests.modeling.batches import Picture, batch, model, text, text_config

SIZES = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
GRID = dict(image_size=16, patch_size=4)
DINO = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=2)
SIX_B = dict(use_qk_norm=True, norm_type="rms_norm", attention_bias=False, layer_scale_init_value=0.1)
ENCODERS = {
    "internvit": InternVLVisionConfig(**SIZES, **GRID),
    "internvit-6b": InternVLVisionConfig(**SIZES, **GRID, **SIX_B),
    "siglip": SiglipVisionConfig(**SIZES, **GRID),
    "siglip2": Siglip2VisionConfig(**SIZES, num_patches=16, patch_size=4),
    "clip": CLIPVisionConfig(**SIZES, **GRID),
    "dinov2": Dinov2Config(**DINO, **GRID),
    "dinov2-registers": Dinov2WithRegistersConfig(**DINO, **GRID, num_register_tokens=3),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_a_grid_of_patches_comes_out(name: str):
    config = ENCODERS[name]
    encoder = AutoModel.from_config(config).eval()
    assert (grid_size(config), image_size(config)) == (4, 16)
    for layer in (-1, -2, 1):
        assert encode(encoder, torch.randn(3, 3, 16, 16), layer).shape == (3, 16, 24)


@pytest.mark.parametrize("name", ENCODERS)
def test_patches_stand_row_by_row(name: str):
    """Before any attention, changing one patch of the picture changes the feature of that patch alone."""
    encoder = AutoModel.from_config(ENCODERS[name]).eval()
    before = torch.zeros(1, 3, 16, 16)
    after = before.clone()
    after[:, :, 4:8, 8:12] = 1.0  # second row, third column
    changed = (encode(encoder, after, 0) != encode(encoder, before, 0)).any(-1)[0]
    assert changed.nonzero().flatten().tolist() == [1 * 4 + 2]


@pytest.mark.parametrize("name", ENCODERS)
def test_the_chosen_layer_is_the_one_read(name: str):
    encoder = AutoModel.from_config(ENCODERS[name]).eval()
    pixels = torch.randn(2, 3, 16, 16)
    first, second = encode(encoder, pixels, 0), encode(encoder, pixels, -3)
    torch.testing.assert_close(first, second, rtol=0, atol=0)  # two layers: hidden states 0, 1, 2
    assert not torch.allclose(first, encode(encoder, pixels, -1))


@pytest.mark.parametrize("name", ENCODERS)
def test_the_whole_model_reads_through_it(name: str):
    nvlm = model("H", vision_config=ENCODERS[name])
    inputs = batch("H", [Picture(2), text(4)])
    loud = nvlm(**inputs).logits
    inputs["pixel_values"] = -inputs["pixel_values"]
    assert not torch.allclose(loud, nvlm(**inputs).logits)


def test_an_encoder_that_merges_patches_is_refused_with_numbers():
    sizes = dict(image_size=32, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[1, 1], window_size=4)
    swin = AutoModel.from_config(SwinConfig(**sizes))
    with pytest.raises(ValueError, match="gave 16 tokens for a view of 64 patches"):
        encode(swin, torch.randn(1, 3, 32, 32))


def test_no_patch_grid_is_an_error():
    with pytest.raises(ValueError, match="Qwen2Config has neither image_size nor num_patches"):
        grid_size(text_config())


def test_encoder_dtype_is_kept_apart_from_the_pixels():
    nvlm = model("X").to(torch.bfloat16)
    config: PreTrainedConfig = nvlm.config
    features = nvlm.get_image_features(torch.randn(1, 3, config.tile_size, config.tile_size))
    assert features.dtype == torch.bfloat16
