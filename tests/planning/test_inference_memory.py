"""Bytes while answering: against tensors that are there, and against the arithmetic of the published size."""

import pytest
import torch

from nvlm.planning.gpus import GPUS
from nvlm.planning.inference_memory import PACKINGS, by_layers, by_tensors, fewest_gpus, markdown_table
from tests.modeling.batches import EVERY_ARCHITECTURE, TOKENS_PER_VIEW, Picture, batch, model, text
from tests.modeling.test_full_size import build

KIB = 2**10


@pytest.mark.parametrize("architecture", EVERY_ARCHITECTURE)
def test_weights_and_cache_are_those_of_a_model_that_runs(architecture: str) -> None:
    tiny = model(architecture).to(torch.bfloat16)
    weights = sum(parameter.nbytes for parameter in tiny.parameters())
    assert by_layers(tiny, "bf16", 1, tokens=0) == [weights]
    inputs = batch(architecture, [text(5), Picture(3), text(4)])
    with torch.no_grad():
        cache = tiny(**inputs, use_cache=True).past_key_values
    held = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    views, tag = inputs.get("memory_views", torch.empty(1, 0)).shape[1], inputs.get("memory_tag_ids")
    memory = views * (TOKENS_PER_VIEW + (0 if tag is None else tag.shape[2]))
    tokens = inputs["input_ids"].shape[1]
    assert by_layers(tiny, "bf16", 1, tokens, memory) == [weights + held]
    assert sum(by_layers(tiny, "bf16", 3, tokens, memory)) == weights + held


def test_the_published_size() -> None:
    full = build("72B", "D")
    alone = by_layers(full, "bf16", 1, tokens=0)[0]
    assert alone == pytest.approx(2 * 78.9e9, rel=0.001)
    assert by_layers(full, "bf16", 1, tokens=1000)[0] - alone == 1000 * 320 * KIB
    assert sum(by_layers(full, "bf16", 4, tokens=0)) == alone


def test_cross_attention_caches_images_in_ten_layers() -> None:
    full = build("72B", "X")
    without, with_images = (by_layers(full, "bf16", 1, 64, memory)[0] for memory in (0, 7 * 256))
    assert with_images - without == 7 * 256 * 320 * KIB // 8


@pytest.mark.parametrize("packing", PACKINGS)
def test_packing_changes_the_language_models_linear_layers_only(packing: str) -> None:
    full = build("72B", "D")
    matrices = 80 * (8192 * (8192 + 1024 + 1024 + 8192) + 3 * 8192 * 29568)
    saved = by_layers(full, "bf16", 1, 0)[0] - by_layers(full, packing, 1, 0)[0]
    bits = {"bf16": 16, "fp8": 8, "int8": 8, "int4": 4 + 32 / 128, "4bit": 4 + 8 / 64 + 32 / 64 / 256}[packing]
    assert saved == pytest.approx(matrices * (16 - bits) / 8, rel=0.001)


@pytest.mark.parametrize("architecture", EVERY_ARCHITECTURE)
def test_tensor_parallel_shares_all_but_the_encoder(architecture: str) -> None:
    full = build("72B", architecture)
    alone, eight = by_tensors(full, 1, tokens=2048), by_tensors(full, 8, tokens=2048)
    assert alone == by_layers(full, "bf16", 1, tokens=2048)[0]
    encoder = 2 * sum(parameter.numel() for parameter in full.vision_model.parameters())
    assert eight == pytest.approx(encoder + (alone - encoder) / 8, rel=0.001)
    with pytest.raises(ValueError, match="64 heads in 8 key/value groups, which cannot be shared evenly among 3 GPUs"):
        by_tensors(full, 3, tokens=2048)


def test_the_fewest_gpus() -> None:
    full = build("72B", "D")
    assert fewest_gpus(full, "bf16", GPUS["h100-80g"], 2048) == (3, max(by_layers(full, "bf16", 3, 2048)))
    assert fewest_gpus(full, "bf16", GPUS["rtx4090-24g"], 2048) is None
    small = model("D")
    lines = markdown_table(small, [GPUS["h100-80g"]], 64)
    assert lines[:2] == ["| weights | in all | h100-80g |", "|---|---|---|"]
    assert [line.split(" | ")[0] for line in lines[2:]] == [f"| {name}" for name in PACKINGS]
    assert lines[2] == "| bf16 | 0.0 GB | 1 × 0.0 GB |"
