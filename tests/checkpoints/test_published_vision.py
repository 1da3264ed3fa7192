"""Vision encoder, pixel shuffle and projector against a second implementation, which reads the published tensors as
they are stored: written from what is known of InternViT-6B and NVLM-D, with nothing of ours or of transformers' in it.

Legend: V views, N tokens of a view (class token first), C width of the encoder, S width with dummy heads.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from transformers import InternVLVisionModel

from nvlm.checkpoints.published import to_own
from nvlm.checkpoints.published_config import from_published
from nvlm.checkpoints.stored import StoredTensors
from nvlm.modeling import NVLMForConditionalGeneration

TOLERANCE = 1e-6
"""Relative to the largest value. Both sides compute in float64, but transformers' RMS norms in float32 inside: measured
1.2e-7 behind three layers and 8e-8 behind the projector, over three seeds of the weights."""

Tensors = dict[str, Tensor]


@pytest.fixture(scope="module")
def settings(published: Path) -> dict[str, Any]:
    settings: dict[str, Any] = json.loads((published / "config.json").read_text())
    return settings


@pytest.fixture(scope="module")
def tensors(published: Path) -> Tensors:
    stored = StoredTensors(published)
    return {name: stored.read(name).double() for name in stored.tensors if not name.startswith("language_model.")}


@pytest.fixture(scope="module")
def model(published: Path) -> NVLMForConditionalGeneration:
    return NVLMForConditionalGeneration.from_pretrained(published, dtype=torch.float64)


@pytest.fixture(scope="module")
def pixels(settings: dict[str, Any]) -> Tensor:
    side = settings["force_image_size"]
    return torch.randn(2, 3, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def rms_norm(x: Tensor, weight: Tensor, eps: float, over: int | None = None) -> Tensor:
    """Over the first `over` channels: what stands behind them, zeros of dummy heads, is not counted."""
    over = over or x.shape[-1]
    mean_square = x.pow(2).sum(-1, keepdim=True) / over
    return x / torch.sqrt(mean_square + eps) * weight


def encode(pixels: Tensor, tensors: Tensors, vision: dict[str, Any], over: int | None = None) -> Tensor:
    """(V, 3, T, T) → (V, N, C): class token, learned positions, pre-norm layers with layer scale, no last norm."""
    width, patch, eps = vision["hidden_size"], vision["patch_size"], vision["layer_norm_eps"]
    head = width // vision["num_attention_heads"]
    at = {name.removeprefix("vision_model."): value for name, value in tensors.items()}
    patches = functional.unfold(pixels, patch, stride=patch)  # (V, 3 · patch², rows · columns), row-major
    weight = at["embeddings.patch_embedding.weight"].flatten(1)
    x = (weight @ patches).transpose(1, 2) + at["embeddings.patch_embedding.bias"]
    x = torch.cat([at["embeddings.class_embedding"].expand(len(x), 1, width), x], 1)
    x = x + at["embeddings.position_embedding"]
    for number in range(vision["num_hidden_layers"]):
        layer = {name.removeprefix(f"encoder.layers.{number}."): value for name, value in at.items()}
        y = rms_norm(x, layer["norm1.weight"], eps)
        q, k, v = (y @ layer["attn.qkv.weight"].T).chunk(3, -1)
        q = rms_norm(q, layer["attn.q_norm.weight"], eps, over or width)
        k = rms_norm(k, layer["attn.k_norm.weight"], eps, over or width)
        q, k, v = (part.unflatten(-1, (-1, head)).transpose(1, 2) for part in (q, k, v))
        scores = q @ k.transpose(-1, -2) / head**0.5
        y = (scores.softmax(-1) @ v).transpose(1, 2).flatten(-2)
        x = x + layer["ls1"] * (y @ layer["attn.proj.weight"].T + layer["attn.proj.bias"])
        y = rms_norm(x, layer["norm2.weight"], eps)
        y = y @ layer["mlp.fc1.weight"].T + layer["mlp.fc1.bias"]
        y = 0.5 * y * (1 + torch.erf(y / 2**0.5))
        x = x + layer["ls2"] * (y @ layer["mlp.fc2.weight"].T + layer["mlp.fc2.bias"])
    return x


def shuffle(patches: Tensor) -> Tensor:
    """(V, rows · columns, C) → (V, rows/2 · columns/2, 4 C): four neighbours beside each other, row by row ("v2")."""
    side = int(patches.shape[1] ** 0.5)
    rows = patches.unflatten(1, (side, side))
    neighbours = (rows[:, 0::2, 0::2], rows[:, 0::2, 1::2], rows[:, 1::2, 0::2], rows[:, 1::2, 1::2])
    return torch.cat(neighbours, -1).flatten(1, 2)


def project(x: Tensor, tensors: Tensors) -> Tensor:
    """LayerNorm, linear, GELU, linear."""
    x = x - x.mean(-1, keepdim=True)
    x = x / torch.sqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5)
    x = x * tensors["mlp1.0.weight"] + tensors["mlp1.0.bias"]
    x = x @ tensors["mlp1.1.weight"].T
    x = 0.5 * x * (1 + torch.erf(x / 2**0.5))
    return x @ tensors["mlp1.3.weight"].T


def difference(found: Tensor, expected: Tensor) -> float:
    assert found.shape == expected.shape
    return float((found - expected).abs().max() / expected.abs().max())


def test_encoder(
    model: NVLMForConditionalGeneration, tensors: Tensors, settings: dict[str, Any], pixels: Tensor
) -> None:
    with torch.inference_mode():
        found = model.get_image_features(pixels)
    expected = encode(pixels, tensors, settings["vision_config"])[:, 1:]
    assert difference(found, expected) < TOLERANCE


def test_encoder_as_transformers_has_it(
    published: Path, tensors: Tensors, settings: dict[str, Any], pixels: Tensor
) -> None:
    """`InternVLVisionModel` on its own, class token included, with the tensors that the table makes."""
    config = from_published(settings, published)
    own = {name: tensor for there in tensors for name, tensor in to_own(there, tensors[there], config).items()}
    encoder = InternVLVisionModel(config.vision_config).double().eval()
    prefix = "vision_model."
    encoder.load_state_dict({name.removeprefix(prefix): t for name, t in own.items() if name.startswith(prefix)})
    with torch.inference_mode():
        found = encoder(pixels).last_hidden_state
    assert difference(found, encode(pixels, tensors, settings["vision_config"])) < TOLERANCE


def test_encoder_pixel_shuffle_and_projector(
    model: NVLMForConditionalGeneration, tensors: Tensors, settings: dict[str, Any], pixels: Tensor
) -> None:
    with torch.inference_mode():
        found = model.connector(model.get_image_features(pixels))
    patches = encode(pixels, tensors, settings["vision_config"])[:, 1:]
    expected = project(shuffle(patches), tensors)
    assert found.shape == (2, 16, settings["llm_config"]["hidden_size"])
    assert difference(found, expected) < TOLERANCE


def test_the_tolerance_tells_what_would_be_wrong(
    model: NVLMForConditionalGeneration, tensors: Tensors, settings: dict[str, Any], pixels: Tensor
) -> None:
    """Norms that count the dummy heads' zeros (4,096 instead of 3,200), and a grid that is transposed ("v1")."""
    vision = settings["vision_config"]
    stored = tensors["vision_model.encoder.layers.0.attn.q_norm.weight"].shape[0]
    with torch.inference_mode():
        features = model.get_image_features(pixels)
    assert difference(features, encode(pixels, tensors, vision, over=stored)[:, 1:]) > 100 * TOLERANCE
    right = project(shuffle(features), tensors)
    transposed = right.unflatten(1, (4, 4)).transpose(1, 2).flatten(1, 2)
    with torch.inference_mode():
        found = model.connector(features)
    assert difference(found, right) < TOLERANCE
    assert difference(found, transposed) > 100 * TOLERANCE
