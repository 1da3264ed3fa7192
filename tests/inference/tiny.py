"""Tiny models of random weights with the nano tokenizer: they load and answer in milliseconds, and know nothing."""

from pathlib import Path

import torch
from transformers import InternVLVisionConfig, Qwen2Config

from nvlm.data.synthetic.tokenizer import build_tokenizer
from nvlm.modeling import NVLMConfig, NVLMForConditionalGeneration
from nvlm.processing import NVLMImageProcessor, NVLMProcessor

Tiny = tuple[NVLMForConditionalGeneration, NVLMProcessor]
TILE_SIZE, TOKENS_PER_VIEW, CONTEXT = 64, 16, 512


def make_tiny(architecture: str) -> Tiny:
    """A model of one architecture with random weights, the same at every call."""
    tokenizer = build_tokenizer()
    processor = NVLMProcessor(
        NVLMImageProcessor(tile_size=TILE_SIZE), tokenizer, architecture=architecture, tokens_per_view=TOKENS_PER_VIEW
    )
    torch.manual_seed(0)
    model = NVLMForConditionalGeneration(make_config(architecture, processor))
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model.eval(), processor


def make_config(architecture: str, processor: NVLMProcessor) -> NVLMConfig:
    vision = InternVLVisionConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        image_size=[TILE_SIZE, TILE_SIZE], patch_size=[8, 8],
    )  # fmt: skip
    text = Qwen2Config(
        vocab_size=len(processor.tokenizer), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, intermediate_size=32, max_position_embeddings=CONTEXT,
        tie_word_embeddings=False, initializer_range=0.5,
    )  # fmt: skip
    return NVLMConfig(
        vision_config=vision,
        text_config=text,
        architecture=architecture,
        image_token_id=processor.image_token_id,
        cross_attention_every=2,
        cross_attention_gate_init=0.5,
    )


def save_tiny(architecture: str, folder: Path) -> Path:
    """A saved tiny model, as a user has it on disk."""
    model, processor = make_tiny(architecture)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
