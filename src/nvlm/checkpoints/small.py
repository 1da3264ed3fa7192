"""A small checkpoint of random weights in the layout of `nvidia/NVLM-D-72B`: what tests load where 159 GB will not fit.

It is written from a table of names and shapes, never through our model, so that it can bear witness: what reads it has
understood the layout. Everything that is odd about the original is odd here: seven dummy heads of zeros beside the
vision encoder's own, q, k and v in one tensor, a vocabulary with more rows than the tokenizer has tokens, a tokenizer
that claims a longer context than the language model has.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file
from torch import Tensor

from nvlm.checkpoints.published_files import CODE, CODE_FILE, preprocessor_config
from nvlm.checkpoints.shards import plan_shards, shard_names, write_index
from nvlm.checkpoints.small_tokenizer import SPECIAL_TOKENS, build_tokenizer, write_tokenizer

__all__ = ["DUMMY_HEADS", "layout", "small_config", "write_small"]

DUMMY_HEADS = 7
"""Beside the real heads of the vision encoder, so that their number divides among GPUs (72B: 25 + 7 = 32)."""

TILE_SIZE, CONTEXT = 112, 2048
SHARD_SIZE = 500_000
ROWS_PER_BLOCK = 64
"""Vocabularies are padded to a multiple of this."""


class Values(NamedTuple):
    """What a tensor is filled with: its shape, and a normal distribution."""

    shape: tuple[int, ...]
    mean: float
    std: float


def write_small(folder: Path, seed: int = 0) -> None:
    """Write the checkpoint into a folder that is empty or not there yet: about 3 MB, in a few shards with their index.

    Args:
        folder: where to.
        seed: of the weights; the same seed gives the same bytes.

    Raises:
        ValueError: the folder holds something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} is not an empty folder; name one that is empty or does not exist yet")
    folder.mkdir(parents=True, exist_ok=True)
    config = small_config()
    tensors = dict(_tensors(config, seed))
    sizes = {name: tensor.nbytes for name, tensor in tensors.items()}
    shards = plan_shards(sizes, SHARD_SIZE)
    for file, names in zip(shard_names(len(shards)), shards, strict=True):
        save_file({name: tensors[name] for name in names}, folder / file, {"format": "pt"})
    write_index(folder, shards, sum(sizes.values()))
    write_tokenizer(folder, model_max_length=4 * CONTEXT)
    (folder / CODE_FILE).write_text(CODE, encoding="utf-8")
    ends = [config["llm_config"]["eos_token_id"], config["llm_config"]["bos_token_id"]]
    generation = {"bos_token_id": ends[1], "eos_token_id": ends, "pad_token_id": ends[1]}
    for name, content in (
        ("config.json", config),
        ("generation_config.json", generation),
        ("preprocessor_config.json", preprocessor_config(TILE_SIZE)),
    ):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def small_config() -> dict[str, Any]:
    """NVIDIA's config.json with small numbers in it."""
    tokenizer = build_tokenizer()
    tokens = tokenizer.get_vocab_size()
    end_of_text, _, turn_end = (tokenizer.token_to_id(token) for token in SPECIAL_TOKENS[:3])
    return {
        "architectures": ["NVLM_D"],
        "auto_map": {
            "AutoConfig": "configuration_nvlm_d.NVLM_D_Config",
            "AutoModel": "modeling_nvlm_d.NVLM_D_Model",
            "AutoModelForCausalLM": "modeling_nvlm_d.NVLM_D_Model",
        },
        "downsample_ratio": 0.5,
        "dynamic_image_size": True,
        "force_image_size": TILE_SIZE,
        "llm_config": {
            "_name_or_path": "Qwen/Qwen2-72B-Instruct",
            "architectures": ["Qwen2ForCausalLM"],
            "attention_bias": False,
            "attention_dropout": 0.0,
            "bos_token_id": end_of_text,
            "eos_token_id": turn_end,
            "hidden_act": "silu",
            "hidden_size": 128,
            "initializer_range": 0.02,
            "intermediate_size": 320,
            "max_position_embeddings": CONTEXT,
            "max_window_layers": 3,
            "mlp_bias": False,
            "model_type": "qwen2",
            "num_attention_heads": 4,
            "num_hidden_layers": 3,
            "num_key_value_heads": 2,
            "rms_norm_eps": 1e-06,
            "rope_theta": 1000000.0,
            "sliding_window": CONTEXT,
            "tie_word_embeddings": False,
            "torch_dtype": "bfloat16",
            "use_cache": True,
            "use_sliding_window": False,
            "vocab_size": ROWS_PER_BLOCK * math.ceil((tokens + 1) / ROWS_PER_BLOCK),
        },
        "max_dynamic_patch": 6,
        "min_dynamic_patch": 1,
        "model_type": "NVLM_D",
        "pad2square": False,
        "ps_version": "v2",
        "select_layer": -1,
        "template": "chatml",
        "torch_dtype": "bfloat16",
        "use_backbone_lora": 0,
        "use_llm_lora": 0,
        "use_thumbnail": True,
        "vision_config": {
            "architectures": ["InternVisionModel"],
            "attention_dropout": 0.0,
            "drop_path_rate": 0.0,
            "dropout": 0.0,
            "hidden_act": "gelu",
            "hidden_size": 80,
            "image_size": TILE_SIZE,
            "initializer_factor": 0.1,
            "initializer_range": 1e-10,
            "intermediate_size": 160,
            "layer_norm_eps": 1e-06,
            "model_type": "intern_vit_6b",
            "norm_type": "rms_norm",
            "num_attention_heads": 5,
            "num_channels": 3,
            "num_hidden_layers": 3,
            "patch_size": 14,
            "qk_normalization": True,
            "qkv_bias": False,
            "torch_dtype": "bfloat16",
            "use_flash_attn": True,
        },
    }


def layout(config: dict[str, Any]) -> dict[str, Values]:
    """Every tensor of a checkpoint with this config.json: its name, its shape, and what to fill it with.

    The scales keep a random model alive: norms near 1, layer scale between 0 and 1, weights that keep a vector's
    length, attention that prefers some keys, logits far enough apart for greedy decoding to be one answer.
    """
    return _vision(config["vision_config"]) | _projector(config) | _language(config["llm_config"])


def _vision(config: dict[str, Any]) -> dict[str, Values]:
    width, inner, patch = config["hidden_size"], config["intermediate_size"], config["patch_size"]
    stored = (config["num_attention_heads"] + DUMMY_HEADS) * (width // config["num_attention_heads"])
    patches = (config["image_size"] // patch) ** 2
    table = {
        "embeddings.class_embedding": Values((1, 1, width), 0.0, 0.5),
        "embeddings.patch_embedding.weight": _linear(width, 3, patch, patch),
        "embeddings.patch_embedding.bias": _bias(width),
        "embeddings.position_embedding": Values((1, 1 + patches, width), 0.0, 0.5),
    }
    for number in range(config["num_hidden_layers"]):
        layer = {
            "attn.qkv.weight": _linear(3 * stored, width),
            "attn.q_norm.weight": Values((stored,), 1.5, 0.1),
            "attn.k_norm.weight": Values((stored,), 1.5, 0.1),
            "attn.proj.weight": Values((width, stored), 0.0, 1 / math.sqrt(width)),  # the real heads' inputs only
            "attn.proj.bias": _bias(width),
            "ls1": Values((width,), 0.5, 0.1),
            "ls2": Values((width,), 0.5, 0.1),
            "mlp.fc1.weight": _linear(inner, width),
            "mlp.fc1.bias": _bias(inner),
            "mlp.fc2.weight": _linear(width, inner),
            "mlp.fc2.bias": _bias(width),
            "norm1.weight": _norm(width),
            "norm2.weight": _norm(width),
        }
        table |= {f"encoder.layers.{number}.{name}": values for name, values in layer.items()}
    return {f"vision_model.{name}": values for name, values in table.items()}


def _projector(config: dict[str, Any]) -> dict[str, Values]:
    width = config["vision_config"]["hidden_size"] * round(1 / config["downsample_ratio"]) ** 2
    inner, out = config["llm_config"]["intermediate_size"], config["llm_config"]["hidden_size"]
    return {
        "mlp1.0.weight": _norm(width),
        "mlp1.0.bias": _bias(width),
        "mlp1.1.weight": _linear(inner, width),
        "mlp1.3.weight": _linear(out, inner, gain=2.0),
    }


def _language(config: dict[str, Any]) -> dict[str, Values]:
    width, inner, rows = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    shared = config["num_key_value_heads"] * (width // config["num_attention_heads"])
    table = {"model.embed_tokens.weight": Values((rows, width), 0.0, 1.0)}
    for number in range(config["num_hidden_layers"]):
        layer = {
            "self_attn.q_proj.weight": _linear(width, width, gain=2.0),
            "self_attn.q_proj.bias": _bias(width),
            "self_attn.k_proj.weight": _linear(shared, width, gain=2.0),
            "self_attn.k_proj.bias": _bias(shared),
            "self_attn.v_proj.weight": _linear(shared, width),
            "self_attn.v_proj.bias": _bias(shared),
            "self_attn.o_proj.weight": _linear(width, width, gain=2.0),
            "mlp.gate_proj.weight": _linear(inner, width),
            "mlp.up_proj.weight": _linear(inner, width),
            "mlp.down_proj.weight": _linear(width, inner),
            "input_layernorm.weight": _norm(width),
            "post_attention_layernorm.weight": _norm(width),
        }
        table |= {f"model.layers.{number}.{name}": values for name, values in layer.items()}
    table |= {"model.norm.weight": _norm(width), "lm_head.weight": _linear(rows, width, gain=4.0)}
    return {f"language_model.{name}": values for name, values in table.items()}


def _norm(width: int) -> Values:
    return Values((width,), 1.0, 0.1)


def _bias(width: int) -> Values:
    return Values((width,), 0.0, 0.1)


def _linear(out: int, *inputs: int, gain: float = 1.0) -> Values:
    return Values((out, *inputs), 0.0, gain / math.sqrt(math.prod(inputs)))


def _tensors(config: dict[str, Any], seed: int) -> Iterator[tuple[str, Tensor]]:
    random = torch.Generator().manual_seed(seed)
    for name, (shape, mean, std) in layout(config).items():
        tensor = mean + std * torch.randn(shape, generator=random)
        _clear_dummies(name, tensor, config)
        yield name, tensor.to(torch.bfloat16).contiguous()


def _clear_dummies(name: str, tensor: Tensor, config: dict[str, Any]) -> None:
    """Zeros where the published weights hold nothing: in the dummy heads, which stand after the real ones, and in the
    head's rows of tokens that no text has, which a model of random weights must not choose."""
    real = config["vision_config"]["hidden_size"]
    if name.endswith(("attn.q_norm.weight", "attn.k_norm.weight")):
        tensor[real:] = 0
    elif name.endswith("attn.qkv.weight"):
        tensor.view(3, -1, tensor.shape[1])[:, real:] = 0
    elif name.endswith("attn.proj.weight"):
        tensor[:, real:] = 0
    elif name == "language_model.lm_head.weight":
        tensor[build_tokenizer().token_to_id("<|vision_start|>") :] = 0
