"""A tiny model learns one batch by heart, in every architecture and both stages, and nothing else moves."""

from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from torch import Tensor
from transformers import InternVLVisionConfig, Qwen2Config

from nvlm.data.synthetic.tasks import questions
from nvlm.data.synthetic.tokenizer import SLOT, build_tokenizer
from nvlm.modeling import ARCHITECTURES, NVLMConfig, NVLMForConditionalGeneration
from nvlm.processing import NVLMImageProcessor, NVLMProcessor
from nvlm.training.loop import train
from nvlm.training.stages import Stage

NEW_PARTS = ("connector.*", "language_model.*.cross_attention.*")
LANGUAGE = Stage(
    "language", ("language_model.*",), steps=40, batch=3, peak_lr=1e-2, final_lr=1e-3, warmup=5, matrix_lr=0.02
)
"""The backbone comes first: it learns to read the words where they are written."""

STAGES = {
    "pretrain": Stage("pretrain", NEW_PARTS, steps=60, batch=3, peak_lr=2e-2, final_lr=2e-3, warmup=5, matrix_lr=0.05),
    "sft": Stage(
        "sft",
        (*NEW_PARTS, "language_model.*"),
        steps=60,
        batch=3,
        peak_lr=1e-2,
        final_lr=1e-3,
        warmup=5,
        matrix_lr=0.02,
    ),
}
"""D has no cross-attention, so its stages leave that pattern out."""
LONGER = {("D", "pretrain"): 140}
"""A projector alone takes more steps."""


def tiny_model(architecture: str, vocabulary: int, slot: int) -> NVLMForConditionalGeneration:
    torch.manual_seed(0)
    vision = InternVLVisionConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=[64, 64],
        patch_size=[16, 16],
    )
    text = Qwen2Config(
        vocab_size=vocabulary, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=64, initializer_range=0.2,
    )  # fmt: skip
    config = NVLMConfig(
        vision_config=vision, text_config=text, architecture=architecture, image_token_id=slot, cross_attention_every=1,
        cross_attention_gate_init=0.5,
    )  # fmt: skip
    return NVLMForConditionalGeneration(config)


@cache
def taught(architecture: str) -> tuple[NVLMForConditionalGeneration, dict[str, Tensor]]:
    """A model that has learned to read three words where they are written, and the same three as pictures."""
    tokenizer = build_tokenizer()
    processor = NVLMProcessor(NVLMImageProcessor(tile_size=64), tokenizer, architecture=architecture, tokens_per_view=4)
    drawn, written = [], []
    for sample, turn in questions("train", "read/word", 3):
        shown = {"type": "image", "image": sample.images[0]}, {"type": "text", "text": f"{turn.answer}\n"}
        for rows, part in zip((drawn, written), shown, strict=True):
            content = [part, {"type": "text", "text": "Read the text."}]
            rows.append([{"role": "user", "content": content}, {"role": "assistant", "content": turn.answer}])
    model = tiny_model(architecture, len(tokenizer), tokenizer.convert_tokens_to_ids(SLOT))
    with TemporaryDirectory() as folder:
        losses(LANGUAGE, model, dict(processor.encode(written)), Path(folder))
    return model, dict(processor.encode(drawn))


def losses(stage: Stage, model: NVLMForConditionalGeneration, batch: dict[str, Tensor], folder: Path) -> list[float]:
    """Train on one batch over and over; the loss of every step."""
    found: list[float] = []

    def loss_of(part: dict[str, Tensor]) -> Tensor:
        loss: Tensor = model(**part).loss
        found.append(loss.item())
        return loss

    train(stage, model, lambda step: [batch], loss_of, folder)
    return found


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_overfits_one_batch_and_leaves_the_rest_alone(tmp_path, architecture, name):
    model, drawn = deepcopy(taught(architecture))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    trainable = [
        pattern for pattern in STAGES[name].trainable if model.cross_attentions() or "cross_attention" not in pattern
    ]
    steps = LONGER.get((architecture, name), STAGES[name].steps)
    found = losses(replace(STAGES[name], trainable=tuple(trainable), steps=steps), model, drawn, tmp_path / name)
    assert found[0] > 0.5
    assert found[-1] < 0.05
    moved = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert {key.split(".")[0] for key in moved} == {"connector"} | ({"language_model"} if len(trainable) > 1 else set())
    text = {key for key in moved if key.startswith("language_model") and ".cross_attention." not in key}
    assert bool(text) == (name == "sft")
