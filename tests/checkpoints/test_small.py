"""The small checkpoint: NVIDIA's layout, told apart from our own account of it, and weights that are alive."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from transformers import AutoTokenizer, Qwen2Tokenizer

from nvlm.checkpoints.published import published_shapes
from nvlm.checkpoints.published_config import from_published
from nvlm.checkpoints.published_files import CODE
from nvlm.checkpoints.shards import INDEX
from nvlm.checkpoints.small import DUMMY_HEADS, layout, small_config, write_small
from nvlm.checkpoints.small_tokenizer import PIECES, SPECIAL_TOKENS, build_tokenizer
from nvlm.inference import load
from tests.checkpoints.checkpoints import files_of, read_json, tensors_of

BLOCK = "<Image><tile_1><|vision_pad|><|vision_pad|><tile_global_thumbnail><|vision_pad|></Image>\n"


def test_the_same_seed_gives_the_same_bytes(published: Path, tmp_path: Path) -> None:
    write_small(tmp_path / "again")
    write_small(tmp_path / "other", seed=1)
    assert files_of(tmp_path / "again") == files_of(published)
    one, other = tensors_of(published), tensors_of(tmp_path / "other")
    assert one.keys() == other.keys()
    assert not any(torch.equal(one[name], other[name]) for name in one)


def test_several_shards_with_their_index_and_all_in_bfloat16(published: Path) -> None:
    index = json.loads((published / INDEX).read_text())
    files = sorted(published.glob("*.safetensors"))
    assert [file.name for file in files] == [f"model-{n:05d}-of-00005.safetensors" for n in range(1, 6)]
    found = {}
    for file in files:
        with safe_open(file, "pt") as opened:
            assert opened.metadata() == {"format": "pt"}
            found |= dict.fromkeys(opened.keys(), file.name)
    assert index["weight_map"] == found
    tensors = tensors_of(published)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.bfloat16}
    assert index["metadata"]["total_size"] == sum(tensor.nbytes for tensor in tensors.values())
    assert sum(path.stat().st_size for path in published.iterdir()) < 4_000_000


def test_two_accounts_of_the_layout_agree(published: Path) -> None:
    """The table in `small.py` knows nothing of our model, and `published.py` nothing of the table."""
    config = from_published(small_config(), published)
    written = {name: values.shape for name, values in layout(small_config()).items()}
    assert written == published_shapes(config)
    assert written == {name: tuple(tensor.shape) for name, tensor in tensors_of(published).items()}


def test_the_table_at_full_size_has_the_published_number_of_parameters() -> None:
    config = small_config()
    config["vision_config"] |= {
        "hidden_size": 3200, "image_size": 448, "intermediate_size": 12800, "num_attention_heads": 25,
        "num_hidden_layers": 45,
    }  # fmt: skip
    config["llm_config"] |= {
        "hidden_size": 8192, "intermediate_size": 29568, "num_attention_heads": 64, "num_hidden_layers": 80,
        "num_key_value_heads": 8, "vocab_size": 152064,
    }  # fmt: skip
    counts = {name: math.prod(values.shape) for name, values in layout(config).items()}

    def billions(prefix: str) -> float:
        return sum(count for name, count in counts.items() if name.startswith(prefix)) / 1e9

    assert billions("language_model.") == pytest.approx(72.71, abs=0.005)
    assert billions("mlp1.") == pytest.approx(0.62, abs=0.005)
    assert billions("vision_model.") == pytest.approx(6.05, abs=0.05)  # 32 heads stored
    assert billions("") == pytest.approx(79.4, abs=0.05)


def test_dummy_heads_are_zero_and_real_ones_are_not(published: Path) -> None:
    tensors = tensors_of(published)
    heads, width = 5, 16
    layer = "vision_model.encoder.layers.1.attn"
    qkv = tensors[f"{layer}.qkv.weight"].view(3, heads + DUMMY_HEADS, width, heads * width)
    proj = tensors[f"{layer}.proj.weight"].view(heads * width, heads + DUMMY_HEADS, width)
    norm = tensors[f"{layer}.q_norm.weight"].view(heads + DUMMY_HEADS, width)
    for real, dummy in (
        (qkv[:, :heads], qkv[:, heads:]), (proj[:, :heads], proj[:, heads:]), (norm[:heads], norm[heads:]),
    ):  # fmt: skip
        assert bool(real.any()) and not bool(dummy.any())


def test_random_weights_that_are_alive(published: Path) -> None:
    """Logits that are finite, far apart, and depend on text and picture alike."""
    model, processor = load(published, device="cpu")
    noise = torch.randint(0, 256, (112, 224, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8).numpy()
    plain = torch.full((112, 224, 3), 200, dtype=torch.uint8).numpy()
    rows = []
    for question, image in (("What is it?", noise), ("What is it?", plain), ("Read the text.", plain)):
        parts = [{"type": "image", "image": image}, {"type": "text", "text": question}]
        batch = processor.apply_chat_template(
            [{"role": "user", "content": parts}], add_generation_prompt=True, tokenize=True, return_dict=True
        )
        with torch.no_grad():
            rows.append(model(**batch).logits[0, -1])
    for row in rows:
        best, second = row.topk(2).values
        assert bool(row.isfinite().all())
        assert row.std() > 2 and best - second > 0.01
    assert (rows[0] - rows[1]).std() > 1 and (rows[1] - rows[2]).std() > 1


def test_ids_that_no_text_has_are_not_generated(published: Path) -> None:
    head = tensors_of(published)["language_model.lm_head.weight"]
    first = build_tokenizer().token_to_id("<|vision_start|>")
    assert head.shape[0] % 64 == 0 and head.shape[0] > build_tokenizer().get_vocab_size()
    assert not bool(head[first:].any()) and bool(head[:first].any(dim=1).all())


@pytest.mark.parametrize("text", [BLOCK, "What is the total? 12.50 €\n\n  Ünïcode, 漢字, \U0001f4a1\t", ""])
def test_the_tokenizer_takes_any_text(published: Path, text: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(published)
    ids = tokenizer(text).input_ids
    assert isinstance(tokenizer, Qwen2Tokenizer)
    assert tokenizer.decode(ids) == text
    assert ids == build_tokenizer().encode(text).ids


def test_the_tokenizer_merges_what_qwen2_merges(published: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(published)
    assert tokenizer.tokenize(BLOCK) == [
        "<Image", "><", "tile", "_", "1", ">", "<|vision_pad|>", "<|vision_pad|>",
        "<", "tile", "_global", "_thumbnail", ">", "<|vision_pad|>", "</", "Image", ">Ċ",
    ]  # fmt: skip
    for piece in PIECES:
        assert tokenizer.tokenize(piece.replace("Ġ", " ").replace("Ċ", "\n")) == [piece]


def test_the_tokenizer_from_vocabulary_and_merges_is_the_same(published: Path) -> None:
    merges = [tuple(line.split(" ")) for line in (published / "merges.txt").read_text().splitlines()[1:]]
    from_files = Qwen2Tokenizer(vocab=read_json(published / "vocab.json"), merges=merges)
    text = "What is the total of the picture? <Image><tile_1></Image>\n"
    assert from_files(text).input_ids == AutoTokenizer.from_pretrained(published)(text).input_ids


def test_the_tokenizers_settings_are_qwen2s(published: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(published)
    assert (tokenizer.eos_token, tokenizer.pad_token, tokenizer.bos_token) == ("<|im_end|>", "<|endoftext|>", None)
    assert set(SPECIAL_TOKENS) <= set(tokenizer.all_special_tokens)
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False)
    assert prompt.startswith("<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nHi")


def test_the_configuration_class_that_vllm_runs() -> None:
    names: dict[str, Any] = {"__name__": "configuration_nvlm_d"}
    exec(compile(CODE, "configuration_nvlm_d.py", "exec"), names)
    config = names["NVLM_D_Config"](**small_config())
    assert (config.model_type, config.ps_version, config.select_layer) == ("NVLM_D", "v2", -1)
    assert config.vision_config.num_attention_heads == 5
    assert config.text_config.num_key_value_heads == 2
    assert names["NVLM_D_Config"]().text_config.model_type == "qwen2"


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    for folder in (tmp_path, tmp_path / "mine"):
        with pytest.raises(ValueError, match="is not an empty folder"):
            write_small(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
