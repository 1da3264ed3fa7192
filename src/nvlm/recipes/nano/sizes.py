"""Sizes of the nano family: a handful of numbers."""

from typing import Any

TILE_SIZE = 64
PATCH_SIZE = 8
MAX_TILES = 6
DOWNSAMPLE = 2
TOKENS_PER_VIEW = (TILE_SIZE // PATCH_SIZE // DOWNSAMPLE) ** 2

VISION: dict[str, Any] = {
    "hidden_size": 160,
    "num_hidden_layers": 4,
    "num_attention_heads": 5,
    "intermediate_size": 640,
    "image_size": [TILE_SIZE, TILE_SIZE],
    "patch_size": [PATCH_SIZE, PATCH_SIZE],
    "use_qk_norm": True,
    "norm_type": "rms_norm",
    "layer_norm_eps": 1e-6,
    "layer_scale_init_value": 0.5,
    "use_mean_pooling": True,
    "attention_bias": False,
}
"""An InternViT as the 6B: RMS norm, q/k norm, layer scale, no qkv bias, no norm after the last layer."""

LANGUAGE: dict[str, Any] = {
    "hidden_size": 192,
    "num_hidden_layers": 4,
    "num_attention_heads": 6,
    "num_key_value_heads": 3,
    "intermediate_size": 512,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
}
"""A Qwen2; the vocabulary's size comes from the tokenizer."""

CROSS_ATTENTION: dict[str, Any] = {
    "cross_attention_every": 1,
    "cross_attention_gate_init": 0.5,
    "cross_attention_warm_start": True,
    "cross_attention_tags_added": True,
}
"""At this size zero gates open too slowly: a warm start, with the weights of the same layer's self-attention."""

PROJECTOR_LAYERS = 2
"""Also of X, whose projector is one linear layer in the paper: words are not linear in the features of this encoder."""
