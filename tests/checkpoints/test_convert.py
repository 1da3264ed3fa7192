"""From NVIDIA's layout to ours and back: nothing lost, nothing invented, and what cannot be done said at once."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nvlm.checkpoints.convert import Converted, convert
from nvlm.checkpoints.published_config import from_published
from nvlm.checkpoints.published_files import CODE_FILE
from nvlm.checkpoints.shards import INDEX
from nvlm.checkpoints.small import layout, small_config
from nvlm.checkpoints.stored import StoredTensors
from nvlm.inference import load
from nvlm.inference.load import MODELS
from nvlm.modeling import NVLMForConditionalGeneration
from nvlm.processing import NVLMProcessor
from tests.checkpoints.checkpoints import files_of, read_json, rewrite, same, tensors_of

TOKENIZER = ("tokenizer.json", "vocab.json", "merges.txt")


@pytest.fixture(scope="module")
def own(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small checkpoint in our layout; read it only."""
    folder = tmp_path_factory.mktemp("own") / "small"
    convert(published, folder, "nvlm", shard_size=500_000)
    return folder


@pytest.fixture
def copy(published: Path, tmp_path: Path) -> Path:
    return shutil.copytree(published, tmp_path / "copy")


@pytest.fixture
def own_copy(own: Path, tmp_path: Path) -> Path:
    return shutil.copytree(own, tmp_path / "own-copy")


def test_what_is_in_our_layout_is_a_model_of_ours(published: Path, own: Path) -> None:
    model, processor = load(own, dtype="bf16", device="cpu")
    config = from_published(small_config(), published)
    direct = NVLMForConditionalGeneration.from_pretrained(published, dtype=torch.bfloat16)
    assert same(dict(model.state_dict()), dict(direct.state_dict()))
    assert model.config.text_config.to_dict() | {"dtype": None} == config.text_config.to_dict()
    assert json.loads((own / "config.json").read_text())["architectures"] == ["NVLMForConditionalGeneration"]
    assert (processor.architecture, processor.tags_tokenized, processor.max_length) == ("D", "inline", 2048)
    assert model.generation_config.suppress_tokens == [config.image_token_id]
    assert sorted(path.name for path in own.iterdir()) == [
        "chat_template.jinja", "config.json", "generation_config.json", "merges.txt",
        *(f"model-{number:05d}-of-00005.safetensors" for number in range(1, 6)), INDEX,
        "processor_config.json", "tokenizer.json", "tokenizer_config.json", "vocab.json",
    ]  # fmt: skip


@pytest.mark.parametrize("shard_size", [1, 300_000, 5_000_000_000])
def test_there_and_back_is_the_same(shard_size: int, published: Path, own: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    convert(published, there, "nvlm", shard_size)
    assert same(tensors_of(there), tensors_of(own))
    convert(there, tmp_path / "back", "nvidia", shard_size)
    assert same(tensors_of(tmp_path / "back"), tensors_of(published))
    for name in ("config.json", "generation_config.json", "preprocessor_config.json"):
        assert read_json(tmp_path / "back" / name) == read_json(published / name)
    for name in (*TOKENIZER, CODE_FILE):
        assert (tmp_path / "back" / name).read_bytes() == (published / name).read_bytes()
    sizes = [path.stat().st_size for path in there.glob("*.safetensors")]
    assert len(sizes) == {1: 86, 300_000: 8, 5_000_000_000: 1}[shard_size]
    assert (there / INDEX).exists() == (len(sizes) > 1)


def test_the_tokenizer_says_how_our_chat_is_written(own: Path, published: Path, tmp_path: Path) -> None:
    """vLLM takes the template from there; Qwen2's own adds a system turn."""
    convert(own, tmp_path / "back", "nvidia")
    settings, before = (read_json(folder / "tokenizer_config.json") for folder in (tmp_path / "back", published))
    assert settings["chat_template"] == NVLMProcessor.from_pretrained(own).chat_template != before["chat_template"]
    assert {**settings, "chat_template": None} == {**before, "chat_template": None}


def test_the_source_is_not_touched(published: Path, tmp_path: Path) -> None:
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in published.iterdir()}
    convert(published, tmp_path / "own", "nvlm")
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in published.iterdir()} == before


def test_what_is_said_at_the_end(copy: Path, tmp_path: Path) -> None:
    (copy / "README.md").write_text("a card")
    (copy / "modeling_nvlm_d.py").write_text("raise SystemExit")
    (copy / "LICENSE").write_text("terms")
    (copy / ".gitattributes").write_text("")
    done = convert(copy, tmp_path / "own", "nvlm", 500_000)
    assert done == Converted(
        tensors=92, nbytes=1_969_696, shards=5, kept=0, left_out=["README.md", "modeling_nvlm_d.py"], notes=[]
    )
    assert (tmp_path / "own" / "LICENSE").read_text() == "terms"


def test_progress_is_told_in_bytes(published: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    done = convert(published, tmp_path / "own", "nvlm", report=lambda *what: told.append(what))
    for what in ("writing", "reading back"):
        steps = [(now, total) for name, now, total in told if name == what]
        assert steps[0] == (0, done.nbytes) and steps[-1] == (done.nbytes, done.nbytes)
        assert steps == sorted(steps) and len(steps) == 87


def test_q_k_and_v_in_different_files(own_copy: Path, published: Path, tmp_path: Path) -> None:
    rewrite(own_copy, tensors_of(own_copy), files=7)
    convert(own_copy, tmp_path / "back", "nvidia")
    assert same(tensors_of(tmp_path / "back"), tensors_of(published))


@pytest.mark.parametrize("heads", [0, 7])
def test_what_stood_in_dummy_channels_comes_back(heads: int, copy: Path, tmp_path: Path) -> None:
    """A constant in the norms, or an encoder that is stored without dummy heads at all."""
    tensors, real = tensors_of(copy), 80
    for name, tensor in tensors.items():
        if name.endswith(("q_norm.weight", "k_norm.weight")):
            tensor[real:] = 1
            tensors[name] = tensor if heads else tensor[:real].clone()
        elif name.endswith("attn.qkv.weight") and not heads:
            tensors[name] = tensor.view(3, -1, real)[:, :real].reshape(3 * real, real).clone()
        elif name.endswith("attn.proj.weight") and not heads:
            tensors[name] = tensor[:, :real].clone()
    rewrite(copy, tensors)
    convert(copy, tmp_path / "own", "nvlm")
    convert(tmp_path / "own", tmp_path / "back", "nvidia")
    assert same(tensors_of(tmp_path / "back"), tensors)


def test_types_are_kept(copy: Path, tmp_path: Path) -> None:
    tensors = {
        name: tensor.float() if "norm" in name or name.startswith("mlp1") else tensor
        for name, tensor in tensors_of(copy).items()
    }
    rewrite(copy, tensors, files=2)
    convert(copy, tmp_path / "own", "nvlm", shard_size=100_000)
    assert {tensor.dtype for tensor in tensors_of(tmp_path / "own").values()} == {torch.bfloat16, torch.float32}
    convert(tmp_path / "own", tmp_path / "back", "nvidia", shard_size=100_000)
    assert same(tensors_of(tmp_path / "back"), tensors)


def test_one_tensor_cannot_have_two_types(own_copy: Path, tmp_path: Path) -> None:
    tensors = tensors_of(own_copy)
    name = "vision_model.encoder.layer.0.attention.q_proj.weight"
    rewrite(own_copy, tensors | {name: tensors[name].float()})
    with pytest.raises(ValueError, match=r"is one tensor in NVIDIA's layout, but here .*q_proj\.weight F32.* BF16"):
        convert(own_copy, tmp_path / "back", "nvidia")


def test_nan_and_infinity_are_bits_like_others(copy: Path, tmp_path: Path) -> None:
    tensors = tensors_of(copy)
    tensors["mlp1.0.bias"][:3] = torch.tensor([float("nan"), float("inf"), -0.0])
    rewrite(copy, tensors)
    convert(copy, tmp_path / "own", "nvlm")
    convert(tmp_path / "own", tmp_path / "back", "nvidia")
    assert same(tensors_of(tmp_path / "back"), tensors)


@pytest.fixture(scope="module")
def nano(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped nano-d in NVIDIA's layout."""
    folder = tmp_path_factory.mktemp("nano") / "nano-d"
    done = convert(MODELS / "nano-d", folder, "nvidia")
    assert (done.shards, done.notes) == (1, [])
    return folder


def test_nano_d_there_and_back_answers_the_same_bit_for_bit(nano: Path, tmp_path: Path) -> None:
    convert(nano, tmp_path / "back", "nvlm")
    assert same(tensors_of(tmp_path / "back"), tensors_of(MODELS / "nano-d"))
    image = torch.randint(0, 256, (64, 192, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8).numpy()
    parts = [{"type": "image", "image": image}, {"type": "text", "text": "What is the total?"}]
    logits = []
    for folder in (MODELS / "nano-d", nano, tmp_path / "back"):
        model, processor = load(folder, device="cpu")
        batch = processor.apply_chat_template(
            [{"role": "user", "content": parts}], add_generation_prompt=True, tokenize=True, return_dict=True
        )
        with torch.no_grad():
            logits.append(model(**batch).logits)
    assert torch.equal(logits[0], logits[1]) and torch.equal(logits[0], logits[2])


def test_nano_d_has_what_vllm_reads(nano: Path) -> None:
    config = json.loads((nano / "config.json").read_text())
    assert config["architectures"] == ["NVLM_D"]
    assert config["auto_map"]["AutoConfig"].split(".")[0] + ".py" in files_of(nano)
    top = (
        "select_layer", "force_image_size", "downsample_ratio", "ps_version", "dynamic_image_size", "use_thumbnail",
        "min_dynamic_patch", "max_dynamic_patch",
    )  # fmt: skip
    assert [config[name] for name in top] == [-1, 64, 0.5, "v2", True, True, 1, 6]
    vision = config["vision_config"]
    assert (vision["num_attention_heads"], vision["image_size"], vision["patch_size"]) == (5, 64, 8)
    assert (vision["norm_type"], vision["qk_normalization"], vision["qkv_bias"]) == ("rms_norm", True, False)
    assert config["llm_config"]["architectures"] == ["Qwen2ForCausalLM"]
    assert config["llm_config"]["tie_word_embeddings"] is True
    tensors = tensors_of(nano)
    assert "language_model.lm_head.weight" not in tensors  # tied: vLLM makes it from the embeddings
    assert tensors["vision_model.encoder.layers.0.attn.qkv.weight"].shape == (3 * 12 * 32, 160)
    settings = read_json(nano / "tokenizer_config.json")
    assert settings["tokenizer_class"] == "PreTrainedTokenizerFast" and "processor_class" not in settings


def test_tags_that_vllm_reads_otherwise_are_noted(own_copy: Path, tmp_path: Path) -> None:
    processor = NVLMProcessor.from_pretrained(own_copy)
    assert convert(own_copy, tmp_path / "inline", "nvidia").notes == []
    processor.tags_tokenized = "alone"
    processor.save_pretrained(own_copy)
    (note,) = convert(own_copy, tmp_path / "alone", "nvidia").notes
    assert "reads tile tags tokenised alone" in note


@pytest.mark.parametrize("name", ["nano-x", "nano-h"])
def test_x_and_h_have_no_place_in_nvidias_layout(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"an NVLM-{name[-1].upper()}, but NVIDIA's layout"):
        convert(MODELS / name, tmp_path / "out", "nvidia")
    assert not (tmp_path / "out").exists()


def edit(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Change the tensors of a folder."""
    tensors = tensors_of(folder)
    change(tensors)
    rewrite(folder, tensors)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("mlp1.3.weight"), r"1 of 86 tensors are missing, the first is mlp1\.3\.weight"),
        (lambda tensors: tensors.update(extra=torch.zeros(1)), "extra is no tensor of NVIDIA's layout"),
        (
            lambda tensors: tensors.update({"language_model.extra": torch.zeros(1)}),
            r"1 tensors have no place .* language_model\.extra",
        ),
        (
            lambda tensors: tensors.update({"mlp1.0.bias": torch.zeros(7)}),
            r"mlp1\.0\.bias has the shape \(7,\) but config\.json asks for \(320,\)",
        ),
    ],
)
def test_tensors_that_do_not_go_with_the_configuration(
    change: Callable[[dict[str, torch.Tensor]], object], message: str, copy: Path, tmp_path: Path
) -> None:
    edit(copy, change)
    with pytest.raises(ValueError, match=message):
        convert(copy, tmp_path / "own", "nvlm")
    assert not (tmp_path / "own").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("connector.norm.bias"), r"lacks 1 of the 92 tensors .* connector\.norm\.bias"),
        (lambda tensors: tensors.update(extra=torch.zeros(1)), "holds 1 tensors that its config.json has no place for"),
        (
            lambda tensors: tensors.update({"connector.norm.bias": torch.zeros(7)}),
            r"connector\.norm\.bias has the shape \(7,\) but config\.json asks for \(320,\)",
        ),
    ],
)
def test_tensors_of_ours_that_do_not_go_with_the_configuration(
    change: Callable[[dict[str, torch.Tensor]], object], message: str, own_copy: Path, tmp_path: Path
) -> None:
    edit(own_copy, change)
    with pytest.raises(ValueError, match=message):
        convert(own_copy, tmp_path / "back", "nvidia")
    assert not (tmp_path / "back").exists()


def test_heads_that_are_no_dummies(copy: Path, tmp_path: Path) -> None:
    edit(copy, lambda tensors: tensors["vision_model.encoder.layers.0.attn.qkv.weight"].fill_(1))
    with pytest.raises(ValueError, match="dummy heads are zero, so is num_attention_heads 5 wrong"):
        convert(copy, tmp_path / "own", "nvlm")
    assert not (tmp_path / "own" / "config.json").exists()


def test_broken_weights_are_found_before_anything_is_written(copy: Path, tmp_path: Path) -> None:
    file = copy / "model-00004-of-00005.safetensors"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(ValueError, match="no whole safetensors file"):
        convert(copy, tmp_path / "own", "nvlm")
    file.unlink()
    with pytest.raises(ValueError, match="lacks model-00004"):
        convert(copy, tmp_path / "own", "nvlm")
    for old in copy.glob("*.safetensors"):
        old.rename(old.with_suffix(".bin"))
    with pytest.raises(ValueError, match="a pickle that can run code"):
        convert(copy, tmp_path / "own", "nvlm")
    assert not (tmp_path / "own").exists()


def test_sources_that_are_none(copy: Path, tmp_path: Path) -> None:
    out = tmp_path / "own"
    with pytest.raises(ValueError, match="hf download nvidia/NVLM-D-72B --local-dir NVLM-D-72B"):
        convert(Path("nvidia/NVLM-D-72B"), out, "nvlm")
    with pytest.raises(ValueError, match=r"there is no folder .*nothing; .* hf download OWNER/NAME"):
        convert(tmp_path / "nothing", out, "nvlm")
    (copy / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(ValueError, match=r"of the family 'llama'; 'NVLM_D' .* and 'nvlm' .* can be converted"):
        convert(copy, out, "nvlm")
    (copy / "config.json").write_text('{"model_type"')
    with pytest.raises(ValueError, match="no readable JSON"):
        convert(copy, out, "nvlm")
    (copy / "config.json").unlink()
    with pytest.raises(ValueError, match=r"holds no config\.json"):
        convert(copy, out, "nvlm")
    assert not out.exists()


def test_nothing_to_convert(published: Path, own: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is in NVIDIA's layout already"):
        convert(published, tmp_path / "out", "nvidia")
    with pytest.raises(ValueError, match="is in this package's layout already"):
        convert(own, tmp_path / "out", "nvlm")
    with pytest.raises(ValueError, match="to is 'huggingface'; there are 'nvlm' and 'nvidia'"):
        convert(own, tmp_path / "out", "huggingface")
    with pytest.raises(ValueError, match="shard_size is 0 bytes"):
        convert(own, tmp_path / "out", "nvidia", shard_size=0)


def test_targets_that_are_taken(copy: Path, own: Path, tmp_path: Path) -> None:
    before = files_of(copy)
    (tmp_path / "link").symlink_to(copy)
    for target in (copy, tmp_path / "link", tmp_path / "copy" / ".." / "copy"):
        with pytest.raises(ValueError, match="is the source itself, which is never written to"):
            convert(copy, target, "nvlm")
    with pytest.raises(ValueError, match=r"is inside of .*copy, which is never written to"):
        convert(copy, copy / "own", "nvlm")
    with pytest.raises(ValueError, match=r"is not empty \(it holds chat_template\.jinja and more\)"):
        convert(copy, own, "nvlm")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match="is a file, but a checkpoint is a folder"):
        convert(copy, tmp_path / "file", "nvlm")
    assert files_of(copy) == before
    (tmp_path / "empty").mkdir()
    assert convert(copy, tmp_path / "empty", "nvlm").tensors == 92


def deep(folder: Path, published: Path, layers: int) -> Path:
    """A checkpoint of so many layers, 2 MB each."""
    config = small_config()
    config["llm_config"] |= {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": layers}
    shutil.copytree(published, folder)
    (folder / "config.json").write_text(json.dumps(config))
    zeros = {name: torch.zeros(values.shape, dtype=torch.bfloat16) for name, values in layout(config).items()}
    for name, tensor in zeros.items():
        if name.startswith("language_model."):
            tensor.view(torch.int16).random_(0, 2**14, generator=torch.Generator().manual_seed(len(name)))
    rewrite(folder, zeros, files=layers)
    return folder


def peak_rss() -> int:
    """The most memory that this process had since `forget_peak`, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))


def forget_peak() -> int:
    """Let the count of `peak_rss` begin anew; what is in use now."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError as error:
        pytest.skip(f"this system does not let a process reset its peak memory: {error}")
    return peak_rss()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is read from /proc")
@pytest.mark.parametrize("to", ["nvlm", "nvidia"])
def test_memory_is_one_shard_and_a_constant(to: str, published: Path, tmp_path: Path) -> None:
    """40 MB in shards of 2 MB. Measured growth: 2 to 3 MB; a conversion that keeps what it reads fails here."""
    layers, shard = 20, 2_000_000
    source = deep(tmp_path / "deep", published, layers)
    convert(published, tmp_path / "warm", "nvlm")  # what is imported and cached at the first use is not counted
    if to == "nvidia":
        convert(source, tmp_path / "own", "nvlm", shard)
        source = tmp_path / "own"
    total = sum(stored.nbytes for stored in StoredTensors(source).tensors.values())
    before = forget_peak()
    done = convert(source, tmp_path / "out", to, shard)
    growth = peak_rss() - before
    assert done.shards > layers and total > 40_000_000
    assert growth < shard + 10_000_000, f"{growth / 1e6:.1f} MB"
