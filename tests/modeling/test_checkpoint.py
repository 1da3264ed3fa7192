"""Saved and loaded, bit for bit, by the Auto classes, in a fresh interpreter, and with adapters."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

from nvlm.modeling import NVLMConfig, NVLMForConditionalGeneration
from tests.modeling.batches import (
    EVERY_ARCHITECTURE,
    FAMILIES,
    Picture,
    batch,
    config,
    model,
    text,
    text_config,
    with_labels,
)

every_architecture = pytest.mark.parametrize("architecture", EVERY_ARCHITECTURE)


def prompt(architecture: str) -> dict[str, torch.Tensor]:
    return batch(architecture, [text(3), Picture(2), text(3)], [text(5, seed=1)])


@pytest.mark.parametrize("family", FAMILIES)
@every_architecture
def test_round_trip_is_bit_for_bit(architecture: str, family: str, tmp_path: Path):
    before = model(architecture, family)
    before.save_pretrained(tmp_path)
    after, info = AutoModelForImageTextToText.from_pretrained(tmp_path, output_loading_info=True)
    assert isinstance(after, NVLMForConditionalGeneration) and not after.training
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert after.state_dict().keys() == before.state_dict().keys()
    inputs = prompt(architecture)
    torch.testing.assert_close(after(**inputs).logits, before(**inputs).logits, rtol=0, atol=0)


@every_architecture
def test_tied_embeddings_are_stored_once_and_stay_tied(architecture: str, tmp_path: Path):
    before = model(architecture, text_config=text_config(tie_word_embeddings=True))
    before.save_pretrained(tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    assert sum(name.endswith(("lm_head.weight", "embed_tokens.weight")) for name in stored) == 1
    after = AutoModelForImageTextToText.from_pretrained(tmp_path)
    assert after.get_output_embeddings().weight is after.get_input_embeddings().weight
    inputs = prompt(architecture)
    torch.testing.assert_close(after(**inputs).logits, before(**inputs).logits, rtol=0, atol=0)


@every_architecture
def test_trained_gates_survive_and_the_warm_start_is_not_repeated(architecture: str, tmp_path: Path):
    before = model(architecture, cross_attention_warm_start=True, cross_attention_feed_forward=True)
    with torch.no_grad():
        for branch in before.cross_attentions():
            branch.gate.fill_(0.123)
            branch.q_proj.weight.add_(1.0)
    before.save_pretrained(tmp_path)
    after = NVLMForConditionalGeneration.from_pretrained(tmp_path)
    for name, value in before.state_dict().items():
        assert torch.equal(after.state_dict()[name], value), name


def test_cross_attention_missing_from_a_checkpoint_starts_as_configured(tmp_path: Path):
    """A trained D continued as X: what is new gets its start values, warm start included."""
    model("D", projector_layers=1).save_pretrained(tmp_path)
    wanted = config("X", cross_attention_gate_init=0.25, cross_attention_warm_start=True)
    after, info = NVLMForConditionalGeneration.from_pretrained(tmp_path, config=wanted, output_loading_info=True)
    assert info["missing_keys"] and all(".cross_attention." in name for name in info["missing_keys"])
    for index in wanted.cross_attention_layers:
        layer = after.language_model.model.layers[index]
        assert layer.cross_attention.gate.item() == 0.25
        assert torch.equal(layer.cross_attention.q_proj.weight, layer.self_attn.q_proj.weight)


def test_sharded_and_in_half_precision(tmp_path: Path):
    before = model("H").to(torch.bfloat16)
    before.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    after = AutoModelForImageTextToText.from_pretrained(tmp_path, dtype="auto")
    assert after.dtype == torch.bfloat16
    for name, value in before.state_dict().items():
        assert torch.equal(after.state_dict()[name], value), name


def test_where_the_backbones_came_from_is_not_written(tmp_path: Path):
    """A user's folders mean nothing elsewhere."""
    AutoModelForCausalLM.from_config(text_config("llama")).save_pretrained(tmp_path / "backbone")
    language = AutoModelForCausalLM.from_pretrained(tmp_path / "backbone")
    nvlm = NVLMForConditionalGeneration.from_backbones(config("D"), language_model=language)
    nvlm.save_pretrained(tmp_path / "whole")
    assert str(tmp_path) not in (tmp_path / "whole" / "config.json").read_text()
    assert AutoConfig.from_pretrained(tmp_path / "whole").text_config.hidden_size == language.config.hidden_size


def test_registered_on_import():
    assert type(AutoConfig.for_model("nvlm")) is NVLMConfig
    assert type(AutoModelForImageTextToText.from_config(config("H"))) is NVLMForConditionalGeneration


FRESH = """
import sys, torch, nvlm.modeling
from transformers import AutoModelForImageTextToText
from safetensors.torch import load_file
inputs = load_file(sys.argv[1] + "/inputs.st")
inputs["cross_attention_mask"] = inputs["cross_attention_mask"].bool()
model = AutoModelForImageTextToText.from_pretrained(sys.argv[1])
print(model.generate(**inputs, max_new_tokens=5, do_sample=False).tolist())
"""


def test_a_fresh_interpreter_generates_the_same(tmp_path: Path):
    from safetensors.torch import save_file

    nvlm, inputs = model("H"), prompt("H")
    nvlm.save_pretrained(tmp_path)
    save_file({name: value.contiguous() for name, value in inputs.items()}, tmp_path / "inputs.st")
    run = subprocess.run(
        [sys.executable, "-c", FRESH, str(tmp_path)], capture_output=True, text=True, check=True, env=environment()
    )
    expected = nvlm.generate(**inputs, max_new_tokens=5, do_sample=False)
    assert run.stdout.strip().splitlines()[-1] == str(expected.tolist())


def environment() -> dict[str, str]:
    import os

    import nvlm.modeling

    source = str(Path(nvlm.modeling.__file__).parents[2])
    return os.environ | {"PYTHONPATH": source, "HF_HUB_OFFLINE": "1"}


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # PEFT asks for it
@every_architecture
@pytest.mark.parametrize("targets", ["all-linear", ["q_proj", "v_proj"], ["k_proj", "projector.2", "fc1"]], ids=str)
def test_lora_on_any_linear(architecture: str, targets):
    if architecture == "X" and "projector.2" in targets:
        targets = ["k_proj", "connector.projector", "fc1"]
    nvlm, inputs = model(architecture), prompt(architecture)
    before = nvlm(**inputs).logits
    adapted = get_peft_model(nvlm, LoraConfig(r=2, target_modules=targets))
    torch.testing.assert_close(adapted(**inputs).logits, before)
    adapted(**with_labels(inputs, 2)).loss.backward()
    trained = {name: p for name, p in adapted.named_parameters() if p.requires_grad}
    assert trained and all("lora" in name and p.grad is not None for name, p in trained.items())
    if architecture != "D":
        assert any(".cross_attention." in name for name in trained)
    out = adapted.generate(**inputs, max_new_tokens=3, do_sample=False)
    assert out.shape[1] == inputs["input_ids"].shape[1] + 3
