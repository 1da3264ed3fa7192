"""What a run of a recipe takes, tiny: backbones as folders, shards, and a file that makes a recipe as small."""

from functools import partial
from pathlib import Path

import pytest
import torch
import yaml
from transformers import InternVLVisionConfig, InternVLVisionModel, Qwen2Config, Qwen2ForCausalLM

from nvlm.data.loader import Loading
from nvlm.recipes.paper_72b import QWEN2_72B
from nvlm.recipes.paper_vision import INTERNVIT_6B
from nvlm.recipes.running import feeding
from tests.data.shard_folders import prepared_folder
from tests.processing.tiny_tokenizers import qwen_like

TILE_SIZE = 16
VISION = INTERNVIT_6B.values | {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": [TILE_SIZE, TILE_SIZE],
    "patch_size": [4, 4],
}
LANGUAGE = QWEN2_72B.values | {
    "vocab_size": 352,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
}
STAGE = {
    "steps": 4,
    "batch": 8,
    "peak_lr": 0.01,
    "final_lr": 0.001,
    "warmup": 1,
    "length": 128,
    "max_tiles": 3,
    "lanes": 2,
    "tags.format": "1d",
}
RECIPE = "paper_72b"


def read_few(patch: pytest.MonkeyPatch) -> None:
    """Few samples wait to be drawn or for a row, and few are measured: there are few."""
    patch.setattr(feeding, "Loading", partial(Loading, lookahead=8, shuffle=16))
    patch.setattr(feeding, "MEASURED", 40)


def make_backbones(base: Path) -> None:
    """``vision`` and ``language``, with random weights."""
    torch.manual_seed(0)
    InternVLVisionModel(InternVLVisionConfig(**VISION)).save_pretrained(base / "vision")
    tokenizer = qwen_like()
    Qwen2ForCausalLM(Qwen2Config(**LANGUAGE, eos_token_id=tokenizer.eos_token_id)).save_pretrained(base / "language")
    tokenizer.save_pretrained(base / "language")


def make_config(base: Path, **stages: object) -> Path:
    """``tiny.yaml``: the recipe at the size of the backbones.

    Args:
        stages: values of both stages in place of the usual ones.
    """
    model = {
        "vision.values": VISION,
        "language.values": LANGUAGE,
        "image_token_id": qwen_like().convert_tokens_to_ids("<|vision_pad|>"),
        "cross_attention_every": 1,
        "cross_attention_gate_init": 0.5,
    }
    stage = STAGE | stages
    path = base / "tiny.yaml"
    path.write_text(yaml.safe_dump({"model": model, "pretrain": stage, "sft": stage}), encoding="utf-8")
    return path


def make_all(base: Path) -> list[str]:
    """Backbones, shards of pictures and of text, the file; the arguments of `nvlm train` that name them."""
    make_backbones(base)
    pictures, notes = prepared_folder(base, "photos", 60, pictures=1), prepared_folder(base, "notes", 40)
    parts = [f"--language {base / 'language'} --vision {base / 'vision'} --config {make_config(base)}"]
    parts.append(f"--data pretrain={pictures} sft={pictures} sft={notes} --workers 0 --threads 1")
    return " ".join(parts).split()
