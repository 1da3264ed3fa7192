"""Weights in fewer bits: which are packed and which are not, how far the answers move, and how many bytes that takes.

Needs torchao and bitsandbytes, the extra `quantization`; what needs one of them is left out without it.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn
from transformers import Qwen2Config

from nvlm.cli import chat
from nvlm.inference import ask, load
from nvlm.inference.quantization import QUANTIZATIONS, find_quantization
from nvlm.modeling import NVLMConfig
from nvlm.planning.inference_memory import PACKINGS
from tests.modeling.batches import vision_config

PICTURE = Image.linear_gradient("L").resize((384, 256))
CPU = torch.device("cpu")
# Mean distance of the logits from those of the whole weights, in standard deviations of these, on the small published
# checkpoint (random weights: real ones have less to lose): measured 0.095, 0.025, 0.28 and 0.30.
FARTHEST = {"fp8": 0.2, "int8": 0.05, "int4": 0.5, "4bit": 0.5}

each = pytest.mark.parametrize("name", QUANTIZATIONS)


def needs(name: str) -> None:
    pytest.importorskip(QUANTIZATIONS[name], reason=f"{name} needs the extra 'quantization'")


def is_packed(module: nn.Linear) -> bool:
    return type(module.weight.data) is not torch.Tensor or module.weight.dtype == torch.uint8


def logits(model: Any, processor: Any) -> torch.Tensor:
    parts = [{"type": "image", "image": PICTURE}, {"type": "text", "text": "Read the text."}]
    inputs = processor.apply_chat_template([{"role": "user", "content": parts}], tokenize=True, return_dict=True)
    with torch.no_grad():
        result: torch.Tensor = model(**inputs).logits
    return result


@each
def test_the_language_models_linear_layers_are_packed(name: str, published: Path) -> None:
    needs(name)
    whole, processor = load(published, dtype="float32")
    packed, _ = load(published, dtype="float32", quantization=name)
    linear = {path: module for path, module in packed.named_modules() if isinstance(module, nn.Linear)}
    assert {path for path, module in linear.items() if is_packed(module)} == {
        path for path in linear if path.startswith("language_model.model.layers.")
    }
    assert packed.dtype == torch.float32
    for path in ("vision_model", "connector", "language_model.lm_head"):
        before, after = (dict(model.get_submodule(path).named_parameters()) for model in (whole, packed))
        assert before.keys() == after.keys()
        assert all(torch.equal(before[key], after[key]) for key in before)
    expected = logits(whole, processor)
    distance = (logits(packed, processor) - expected).abs().mean() / expected.std()
    assert 0 < distance < FARTHEST[name]
    assert ask(packed, processor, "Read the text.", PICTURE, max_new_tokens=4)


def tensors(value: Any) -> Iterator[torch.Tensor]:
    """What a packed weight is made of: torchao's and bitsandbytes' objects hold their tensors as attributes."""
    if type(value) is torch.Tensor:
        yield value
        return
    for inner in vars(value).values():
        if isinstance(inner, torch.Tensor) or type(inner).__name__ == "QuantState":
            yield from tensors(inner)


@each
def test_bytes_are_as_planned(name: str, published: Path) -> None:
    needs(name)
    model, _ = load(published, dtype="bfloat16", quantization=name)
    layer = model.language_model.model.layers[0].mlp.down_proj
    weight: Any = layer.weight
    held = [weight.data] if name == "4bit" else []
    held += tensors(weight.quant_state) if name == "4bit" else tensors(weight.data)
    tables = 4 * (16 + 256 + 1) if name == "4bit" else 0  # the values of a code and of the scales' code, and their mean
    packing = replace(PACKINGS[name], group=64) if name == "int4" else PACKINGS[name]  # 320 is no multiple of 128
    planned = packing.bytes(torch.empty(layer.out_features, layer.in_features))
    assert sum(tensor.nbytes for tensor in held) - tables == pytest.approx(planned, abs=4)


@each
def test_models_x_and_h_are_packed_too(name: str) -> None:
    needs(name)
    for shipped in ("nano-x", "nano-h"):
        model, processor = load(shipped, device="cpu", quantization=name)
        assert is_packed(model.cross_attentions()[0].q_proj)
        assert ask(model, processor, "Read the text.", PICTURE, max_new_tokens=4)


def small(width: int, inner: int) -> NVLMConfig:
    text = Qwen2Config(
        vocab_size=64, hidden_size=width, intermediate_size=inner, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1,
    )  # fmt: skip
    return NVLMConfig(vision_config=vision_config(), text_config=text, image_token_id=1)


def test_int4_groups_fit_every_row() -> None:
    needs("int4")
    for width, inner, group in ((128, 256, 128), (128, 320, 64), (64, 96, 32)):
        found = find_quantization("int4", small(width, inner), torch.float32, CPU)
        assert found.quant_type.group_size == group
    with pytest.raises(
        ValueError, match=r"down_proj has 64 rows of 80 weights, but int4 on cpu needs .* multiple of 32"
    ):
        find_quantization("int4", small(64, 80), torch.float32, CPU)
    with pytest.raises(ValueError, match=r"computes in bfloat16 on cuda, but dtype is torch.float32"):
        find_quantization("int4", small(64, 96), torch.float32, torch.device("cuda"))


def test_4bit_rows_fit_the_kernel_of_a_cpu() -> None:
    needs("4bit")
    assert find_quantization("4bit", small(64, 80), torch.float32, torch.device("cuda")).load_in_4bit
    with pytest.raises(ValueError, match=r"has 80 rows of 64 weights, but 4bit on cpu needs a multiple of 32 rows"):
        find_quantization("4bit", small(64, 80), torch.float32, CPU)


def test_what_cannot_be_quantised(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="quantization is '3bit'; it must be one of fp8, int8, int4, 4bit"):
        load(published, quantization="3bit")
    monkeypatch.setattr("nvlm.inference.quantization.find_spec", lambda package: None)
    with pytest.raises(ValueError, match=r"needs bitsandbytes, which is not installed: pip install 'nvlm\[quantiz"):
        load(published, quantization="4bit")


def test_the_command_line_offers_the_same() -> None:
    import argparse

    parser = argparse.ArgumentParser()
    chat.add_arguments(parser)
    (choices,) = (action.choices for action in parser._actions if action.dest == "quantization")
    assert tuple(choices) == tuple(QUANTIZATIONS)


@pytest.mark.gpu
@each
def test_on_a_gpu(name: str, published: Path) -> None:
    needs(name)
    model, processor = load(published, quantization=name)
    assert model.device.type != "cpu"
    assert ask(model, processor, "Read the text.", PICTURE, max_new_tokens=4)
