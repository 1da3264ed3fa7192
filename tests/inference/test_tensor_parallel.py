"""Two processes that share every matrix answer as one process does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import InternVLVisionConfig, Qwen2Config

from nvlm.data.synthetic.tokenizer import build_tokenizer
from nvlm.inference import load
from nvlm.modeling import NVLMConfig, NVLMForConditionalGeneration
from nvlm.processing import NVLMImageProcessor, NVLMProcessor
from tests.inference.two_ranks import answers

ROOT = Path(__file__).resolve().parents[2]
# Sums in another order: measured 4e-5 at logits up to 17.
TOLERANCE = 1e-4


def save(architecture: str, folder: Path) -> Path:
    """A model whose heads two processes can share, with every part that the plan knows: a feed-forward of its own in
    cross-attention, and an encoder of 5 heads, which nobody can share."""
    tokenizer = build_tokenizer()
    processor = NVLMProcessor(
        NVLMImageProcessor(tile_size=64), tokenizer, architecture=architecture, tokens_per_view=16
    )
    config = NVLMConfig(
        vision_config=InternVLVisionConfig(
            hidden_size=20, num_hidden_layers=1, num_attention_heads=5, intermediate_size=32, image_size=[64, 64],
            patch_size=[8, 8],
        ),
        text_config=Qwen2Config(
            vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, intermediate_size=48, max_position_embeddings=512, tie_word_embeddings=False,
            initializer_range=0.3,
        ),
        architecture=architecture,
        image_token_id=processor.image_token_id,
        cross_attention_every=2,
        cross_attention_gate_init=0.5,
        cross_attention_feed_forward=True,
    )  # fmt: skip
    torch.manual_seed(0)
    model = NVLMForConditionalGeneration(config)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_two_processes_answer_as_one(tmp_path: Path, published: Path) -> None:
    folders = [*(save(architecture, tmp_path / architecture) for architecture in "DXH"), published]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    script = ["-m", "tests.inference.two_ranks", str(tmp_path), *map(str, folders)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([*torchrun, *script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    for folder in folders:
        model, processor = load(folder, device="cpu", dtype="float32")
        found = json.loads((tmp_path / f"{folder.name}.json").read_text())
        logits, *texts = answers(model, processor)
        shared = load_file(tmp_path / f"{folder.name}.safetensors")["logits"]
        torch.testing.assert_close(shared, logits, rtol=0, atol=TOLERANCE)
        assert found["texts"] == texts
        matrices = {name for name, tensor in model.named_parameters() if tensor.ndim > 1}
        encoder = {name for name in matrices if name.startswith("vision_model.")}
        assert matrices - encoder <= set(found["cut"])
        assert not encoder & set(found["cut"])
