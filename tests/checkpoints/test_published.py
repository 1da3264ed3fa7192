"""Names, shapes and transforms between NVIDIA's layout and ours; the 72B on `meta`, the small one bit for bit."""

import copy
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nvlm.checkpoints.published import (
    DUMMY_HEADS,
    TABLE,
    dummy_heads,
    note_padding,
    own_names,
    own_shapes,
    published_name,
    published_shapes,
    to_own,
    to_published,
)
from nvlm.checkpoints.published_config import from_published
from nvlm.checkpoints.stored import StoredTensors
from nvlm.modeling.config import NVLMConfig
from tests.checkpoints.configs import full_size

QKV = "vision_model.encoder.layers.1.attn.qkv.weight"
PROJ = "vision_model.encoder.layers.1.attn.proj.weight"
Q_NORM = "vision_model.encoder.layers.1.attn.q_norm.weight"
K_NORM = "vision_model.encoder.layers.1.attn.k_norm.weight"


@pytest.fixture
def config(published: Path) -> NVLMConfig:
    return from_published(json.loads((published / "config.json").read_text()), published)


@pytest.fixture(scope="module")
def tensors(published: Path) -> dict[str, Tensor]:
    stored = StoredTensors(published)
    return {name: stored.read(name) for name in stored.tensors}


@pytest.fixture(scope="module")
def large() -> NVLMConfig:
    return from_published(full_size())


def same_bits(first: Tensor, second: Tensor) -> bool:
    return first.dtype == second.dtype and torch.equal(first.view(torch.uint8), second.view(torch.uint8))


def test_the_table_names_everything_once() -> None:
    published = [row.published for row in TABLE]
    own = [name for row in TABLE for name in row.own]
    assert len(set(published)) == len(published)
    assert len(set(own)) == len(own)


@pytest.mark.parametrize(
    ("published", "own"),
    [
        ("vision_model.embeddings.class_embedding", ["vision_model.embeddings.cls_token"]),
        ("vision_model.encoder.layers.44.ls2", ["vision_model.encoder.layer.44.lambda_2"]),
        ("vision_model.encoder.layers.3.mlp.fc1.bias", ["vision_model.encoder.layer.3.mlp.fc1.bias"]),
        (
            "vision_model.encoder.layers.10.attn.qkv.weight",
            [f"vision_model.encoder.layer.10.attention.{name}_proj.weight" for name in "qkv"],
        ),
        ("mlp1.0.bias", ["connector.norm.bias"]),
        ("mlp1.3.weight", ["connector.projector.2.weight"]),
        ("language_model.lm_head.weight", ["language_model.lm_head.weight"]),
        ("language_model.model.layers.7.mlp.up_proj.weight", ["language_model.model.layers.7.mlp.up_proj.weight"]),
    ],
)
def test_names_in_both_directions(published: str, own: list[str]) -> None:
    assert list(own_names(published)) == own
    assert {published_name(name) for name in own} == {published}


@pytest.mark.parametrize(
    "name",
    [
        "mlp1.1.bias",
        "mlp1.2.weight",
        "vision_model.encoder.layers.0.attn.q_proj.weight",
        "vision_model.encoder.layers.x.ls1",
        "vision_model.encoder.layers.ls1",
        "vision_model.encoder.layer.0.lambda_1",
        "vision_model.embeddings.cls_token",
        "transformer.wte.weight",
        "",
    ],
)
def test_names_that_the_layout_does_not_have(name: str) -> None:
    with pytest.raises(ValueError, match="is no tensor of NVIDIA's layout"):
        own_names(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("connector.projector.weight", "no tensor of an NVLM-D that fits NVIDIA's layout"),
        ("mlp1.0.weight", "no tensor of an NVLM-D that fits NVIDIA's layout"),
        ("language_model.model.layers.7.cross_attention.gate", "holds NVLM-D only"),
    ],
)
def test_names_that_have_no_place_there(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        published_name(name)


def test_every_tensor_of_the_72b_is_read_once_and_made_once(large: NVLMConfig) -> None:
    published, own = published_shapes(large), own_shapes(large)
    made = Counter(name for there in published for name in own_names(there))
    assert made == Counter(own.keys())
    assert {published_name(name) for name in own} == set(published)

    turned = {}
    for name, shape in published.items():
        parts = to_own(name, torch.empty(shape, dtype=torch.bfloat16, device="meta"), large)
        turned |= {part: tuple(tensor.shape) for part, tensor in parts.items()}
        assert tuple(to_published(name, parts, large).shape) == shape
    assert turned == own


def test_the_72b_has_the_published_size(large: NVLMConfig) -> None:
    """`nvlm-d-72b`: 79.4 B stored parameters, 32 heads counted; 72.71 + 0.62 + 6.05 by part."""
    sizes = {name: math.prod(shape) for name, shape in published_shapes(large).items()}
    parts = Counter[str]()
    for name, size in sizes.items():
        parts[name.split(".")[0]] += size
    assert {name: round(size / 1e9, 2) for name, size in parts.items()} == {
        "language_model": 72.71,
        "mlp1": 0.62,
        "vision_model": 6.05,
    }
    assert round(sum(sizes.values()) / 1e9, 1) == 79.4
    assert len(sizes) == 45 * 13 + 4 + 4 + 80 * 12 + 3


def test_the_72b_has_the_published_shapes(large: NVLMConfig) -> None:
    shapes = published_shapes(large)
    expected = {
        "vision_model.embeddings.class_embedding": (1, 1, 3200),
        "vision_model.embeddings.position_embedding": (1, 1025, 3200),
        "vision_model.embeddings.patch_embedding.weight": (3200, 3, 14, 14),
        "vision_model.encoder.layers.44.attn.qkv.weight": (3 * 4096, 3200),
        "vision_model.encoder.layers.44.attn.q_norm.weight": (4096,),
        "vision_model.encoder.layers.44.attn.proj.weight": (3200, 4096),
        "vision_model.encoder.layers.44.attn.proj.bias": (3200,),
        "vision_model.encoder.layers.44.mlp.fc1.weight": (12800, 3200),
        "vision_model.encoder.layers.44.ls1": (3200,),
        "mlp1.0.weight": (12800,),
        "mlp1.1.weight": (29568, 12800),
        "mlp1.3.weight": (8192, 29568),
        "language_model.model.embed_tokens.weight": (152064, 8192),
        "language_model.model.layers.79.self_attn.k_proj.bias": (1024,),
        "language_model.lm_head.weight": (152064, 8192),
    }
    assert {name: shapes.get(name) for name in expected} == expected
    assert "vision_model.encoder.layers.44.attn.qkv.bias" not in shapes
    assert "mlp1.1.bias" not in shapes


def test_there_and_back_is_byte_identical(tensors: dict[str, Tensor], config: NVLMConfig) -> None:
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == published_shapes(config)
    own = {}
    for name, tensor in tensors.items():
        note_padding(name, tensor, config)
        own |= to_own(name, tensor, config)
    assert {name: tuple(tensor.shape) for name, tensor in own.items()} == own_shapes(config)
    for name, tensor in tensors.items():
        assert same_bits(to_published(name, own, config), tensor), name


def test_fused_rows_are_q_k_and_v_without_dummies(tensors: dict[str, Tensor], config: NVLMConfig) -> None:
    width, stored = config.vision_config.hidden_size, tensors[QKV].shape[0] // 3
    parts = list(to_own(QKV, tensors[QKV], config).values())
    for number, part in enumerate(parts):
        assert same_bits(part, tensors[QKV][number * stored : number * stored + width].clone())
        assert part.untyped_storage().nbytes() == part.nbytes  # not a view that keeps the dummies in memory


@pytest.mark.parametrize("kind", ["weight", "bias"])
def test_an_encoder_stored_without_dummies(kind: str, config: NVLMConfig) -> None:
    """Plain InternViT: seen from the shape."""
    width = config.vision_config.hidden_size
    fused = torch.randn((3 * width, width) if kind == "weight" else (3 * width,)).bfloat16()
    name = QKV.replace("weight", kind)
    note_padding(name, fused, config)
    assert dummy_heads(config) == 0
    parts = to_own(name, fused, config)
    assert [tuple(part.shape) for part in parts.values()] == [(width, *fused.shape[1:])] * 3
    assert same_bits(to_published(name, parts, config), fused)
    norm = torch.randn(width).bfloat16()
    note_padding(Q_NORM, norm, config)
    assert same_bits(to_published(Q_NORM, to_own(Q_NORM, norm, config), config), norm)
    proj = torch.randn(width, width).bfloat16()
    assert same_bits(to_published(PROJ, to_own(PROJ, proj, config), config), proj)


@pytest.mark.parametrize("constant", [0.0, 1.0, -0.5])
def test_what_dummy_channels_of_norms_hold_comes_back(constant: float, config: NVLMConfig) -> None:
    width, one = config.vision_config.hidden_size, config.vision_config.hidden_size // 5
    norm = torch.cat([torch.randn(width), torch.full((DUMMY_HEADS * one,), constant)]).bfloat16()
    for name in (Q_NORM, K_NORM):
        note_padding(name, norm, config)
        assert same_bits(to_published(name, to_own(name, norm, config), config), norm)


def test_dummy_channels_without_a_constant_are_not_lost_in_silence(
    tensors: dict[str, Tensor], config: NVLMConfig
) -> None:
    mixed = tensors[Q_NORM].clone()
    mixed[-1] = 1
    with pytest.raises(ValueError, match=r"q_norm\.weight, hold other values than one constant .*0\.0.*1\.0"):
        note_padding(Q_NORM, mixed, config)
    note_padding(K_NORM, tensors[K_NORM], config)
    other = tensors[Q_NORM].clone()
    other[config.vision_config.hidden_size :] = 1
    with pytest.raises(ValueError, match="other values than one constant for the whole model"):
        note_padding(Q_NORM, other, config)
    note_padding(Q_NORM, mixed, config, strict=False)
    own = to_own(Q_NORM, mixed, config)
    with pytest.raises(ValueError, match=r"cannot be restored: they held no constant .* NVIDIA's own files"):
        to_published(Q_NORM, own, config)


@pytest.mark.parametrize("name", [QKV, PROJ])
def test_heads_that_are_no_dummies_are_not_cut(name: str, tensors: dict[str, Tensor], config: NVLMConfig) -> None:
    tensor = tensors[name].clone()
    tensor[-1, -1] = 0.25
    with pytest.raises(ValueError, match=r"5 heads and .* behind them, of which 1 are not zero.*num_attention_heads"):
        to_own(name, tensor, config)


@pytest.mark.parametrize("shape", [(3 * 64, 80), (3 * 80 + 1, 80), (3 * 81, 80)])
def test_shapes_that_do_not_go_with_the_heads(shape: tuple[int, int], config: NVLMConfig) -> None:
    with pytest.raises(ValueError, match=rf"\({shape[0]}, 80\), but an encoder of 5 heads of 16 needs 3 x 80"):
        to_own(QKV, torch.zeros(shape), config)


def test_one_model_has_one_number_of_dummy_heads(tensors: dict[str, Tensor], config: NVLMConfig) -> None:
    note_padding(QKV, tensors[QKV], config)
    with pytest.raises(ValueError, match="has 0 dummy heads, but a tensor before it had 7"):
        note_padding(PROJ, torch.zeros(80, 80), config)


def test_a_part_that_is_not_there(tensors: dict[str, Tensor], config: NVLMConfig) -> None:
    parts = to_own(QKV, tensors[QKV], config)
    gone = next(name for name in parts if "k_proj" in name)
    del parts[gone]
    with pytest.raises(ValueError, match=rf"is made of .*, but {gone} is not there"):
        to_published(QKV, parts, config)


def test_tied_embeddings_are_stored_once(published: Path) -> None:
    settings: dict[str, Any] = json.loads((published / "config.json").read_text())
    tied = copy.deepcopy(settings)
    tied["llm_config"]["tie_word_embeddings"] = True
    shapes = published_shapes(from_published(settings, published))
    assert "language_model.lm_head.weight" in shapes
    del shapes["language_model.lm_head.weight"]
    assert published_shapes(from_published(tied, published)) == shapes


def test_another_architecture_has_no_place_there(config: NVLMConfig) -> None:
    config.architecture, config.cross_attention_every = "H", 3
    with pytest.raises(ValueError, match="cross-attention, but NVIDIA's layout holds NVLM-D only"):
        published_shapes(config)
