"""A folder in NVIDIA's layout as a model: by `nvlm.load`, our classes and the Auto classes; saved; what is refused."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Replicate, distribute_tensor
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor, pipeline
from transformers.core_model_loading import revert_weight_conversion

import nvlm
from nvlm.checkpoints.conversions import FromPublished
from nvlm.checkpoints.convert import convert
from nvlm.checkpoints.published import own_names, own_shapes
from nvlm.checkpoints.published_config import published_processor
from nvlm.checkpoints.shards import INDEX
from nvlm.checkpoints.stored import StoredTensors
from nvlm.modeling import NVLMConfig, NVLMForConditionalGeneration
from nvlm.processing import NVLMProcessor

Tensors = dict[str, Tensor]
Loaded = tuple[NVLMForConditionalGeneration, NVLMProcessor]

QKV = "vision_model.encoder.layers.1.attn.qkv.weight"
Q_NORM = "vision_model.encoder.layers.1.attn.q_norm.weight"


@pytest.fixture(scope="module")
def tensors(published: Path) -> Tensors:
    stored = StoredTensors(published)
    return {name: stored.read(name) for name in stored.tensors}


@pytest.fixture(scope="module")
def loaded(published: Path) -> Loaded:
    return nvlm.load(published, device="cpu")


@pytest.fixture
def copied(published: Path, tmp_path: Path) -> Path:
    return shutil.copytree(published, tmp_path / "copy")


def picture() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (112, 224, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def inputs(processor: NVLMProcessor) -> Any:
    message = {"role": "user", "content": [{"type": "image", "image": picture()}, {"type": "text", "text": "What?"}]}
    return processor.apply_chat_template([message], add_generation_prompt=True, tokenize=True, return_dict=True)


def logits(model: Any, processor: NVLMProcessor) -> Tensor:
    with torch.inference_mode():
        result: Tensor = model(**inputs(processor)).logits
    return result


def change(folder: Path, name: str, edit: Callable[[Tensor], Tensor | None]) -> None:
    """Edit one tensor of a folder, or take it away where the edit gives None."""
    index = json.loads((folder / INDEX).read_text())
    file = folder / index["weight_map"][name]
    held = load_file(file)
    edited = edit(held.pop(name).clone())
    if edited is None:
        del index["weight_map"][name]
        (folder / INDEX).write_text(json.dumps(index))
    else:
        held[name] = edited
    save_file(held, file, {"format": "pt"})


def set_field(folder: Path, section: str, name: str, value: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    config[section][name] = value
    (folder / "config.json").write_text(json.dumps(config))


def test_load_takes_every_tensor_and_cuts_what_is_stored_beside(loaded: Loaded, tensors: Tensors) -> None:
    model, processor = loaded
    assert type(model) is NVLMForConditionalGeneration and not model.training
    assert {name: tuple(value.shape) for name, value in model.state_dict().items()} == own_shapes(model.config)
    q, k, v = own_names(QKV)
    width, stored = model.config.vision_config.hidden_size, tensors[QKV].shape[0] // 3
    for number, name in enumerate((q, k, v)):
        expected = tensors[QKV][number * stored : number * stored + width].float()
        assert torch.equal(model.get_parameter(name), expected)
    assert model.config.published["dummy_heads"] == 7
    assert model.config.published["dummy_norm"] == 0
    assert model.config.image_token_id == processor.image_token_id


def test_every_way_of_loading_gives_the_same_logits(loaded: Loaded, published: Path, tmp_path: Path) -> None:
    """Bit for bit: `nvlm.load`, our class, the Auto classes, and the same weights converted beforehand."""
    expected = logits(*loaded)
    assert torch.isfinite(expected).all()
    auto = AutoModelForImageTextToText.from_pretrained(published, dtype=torch.float32)
    assert type(auto) is NVLMForConditionalGeneration
    assert torch.equal(logits(auto, AutoProcessor.from_pretrained(published)), expected)
    direct = NVLMForConditionalGeneration.from_pretrained(published, dtype=torch.float32)
    assert torch.equal(logits(direct, NVLMProcessor.from_pretrained(published)), expected)
    convert(published, tmp_path / "own", "nvlm")
    assert torch.equal(logits(*nvlm.load(tmp_path / "own", device="cpu")), expected)


def test_the_auto_classes_run_nothing_out_of_the_folder(copied: Path) -> None:
    """`auto_map` names code that would end the test; it is not run, nor asked about, even where it is allowed."""
    for file in ("configuration_nvlm_d.py", "modeling_nvlm_d.py"):
        (copied / file).write_text("raise SystemExit('remote code was run')")
    for options in ({}, {"trust_remote_code": True}):
        assert type(AutoConfig.from_pretrained(copied, **options)) is NVLMConfig
        assert type(AutoProcessor.from_pretrained(copied, **options)) is NVLMProcessor
        model = AutoModelForImageTextToText.from_pretrained(copied, **options)
        assert type(model) is NVLMForConditionalGeneration and model.dtype == torch.bfloat16


def test_an_id_on_the_hub(published: Path, loaded: Loaded, tmp_path: Path) -> None:
    """As it lies in the hub's cache: the token that fills slots is found through the id."""
    name, revision = "nvidia/NVLM-D-72B", "0123456789abcdef0123456789abcdef01234567"
    cache = tmp_path / "hub" / "models--nvidia--NVLM-D-72B"
    shutil.copytree(published, cache / "snapshots" / revision)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(revision)
    options = {"cache_dir": tmp_path / "hub", "local_files_only": True}
    processor = AutoProcessor.from_pretrained(name, **options)
    for config in (None, AutoConfig.from_pretrained(name, **options)):
        model = NVLMForConditionalGeneration.from_pretrained(name, config=config, dtype=torch.float32, **options)
        assert torch.equal(logits(model, processor), logits(*loaded))

    home = os.environ | {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    script = f"""
import nvlm, transformers
model, processor = nvlm.load("{name}", device="cpu")
print(nvlm.ask(model, processor, "Hello", max_new_tokens=1) is not None, model.config.name_or_path)
print(transformers.AutoConfig.from_pretrained("{name}").image_token_id)"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=home)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True", name, str(loaded[1].image_token_id)]


def test_a_pipeline(published: Path) -> None:
    pipe: Any = pipeline("image-text-to-text", model=str(published))
    message = {"role": "user", "content": [{"type": "image", "image": picture()}, {"type": "text", "text": "What?"}]}
    (answer,) = pipe(text=[message], max_new_tokens=3, return_full_text=False)
    assert isinstance(answer["generated_text"], str)


def test_saved_it_is_ours(loaded: Loaded, tensors: Tensors, tmp_path: Path) -> None:
    model, processor = loaded
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    assert set(load_file(tmp_path / "model.safetensors")) == {own for name in tensors for own in own_names(name)}
    settings = json.loads((tmp_path / "config.json").read_text())
    assert (settings["model_type"], settings["architectures"]) == ("nvlm", ["NVLMForConditionalGeneration"])
    again, its_processor = nvlm.load(tmp_path, device="cpu")
    assert again.config.published == model.config.published
    assert its_processor.to_dict() == processor.to_dict()
    assert torch.equal(logits(again, its_processor), logits(*loaded))
    with pytest.raises(ValueError, match="writes this family's own layout; nvlm convert writes NVIDIA's"):
        model.save_pretrained(tmp_path, save_original_format=True)


def test_saved_in_shards_it_is_ours(published: Path, tmp_path: Path) -> None:
    model = NVLMForConditionalGeneration.from_pretrained(published)
    model.save_pretrained(tmp_path, max_shard_size="300KB")
    names = json.loads((tmp_path / INDEX).read_text())["weight_map"]
    assert set(names) == set(own_shapes(model.config))


def test_the_rules_have_a_reverse(published: Path, tensors: Tensors) -> None:
    model = NVLMForConditionalGeneration.from_pretrained(published)
    back = revert_weight_conversion(model, model.state_dict())
    assert back.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert back[name].dtype == tensor.dtype and torch.equal(back[name], tensor), name


def test_a_new_model_is_saved_in_our_layout(loaded: Loaded, tmp_path: Path) -> None:
    """transformers reverses registered rules also for models that it has not loaded."""
    new = NVLMForConditionalGeneration(loaded[0].config)
    new.save_pretrained(tmp_path)
    assert set(load_file(tmp_path / "model.safetensors")) == set(own_shapes(new.config))


def test_slots_stay_suppressed(loaded: Loaded) -> None:
    """The published generation_config.json does not know of them."""
    model, processor = loaded
    assert model.generation_config.suppress_tokens == [processor.image_token_id]
    assert len(model.generation_config.eos_token_id) == 2


def test_answers(loaded: Loaded) -> None:
    model, processor = loaded
    text = nvlm.ask(model, processor, "What is this?", images=[picture()], max_new_tokens=4)
    assert isinstance(text, str)
    assert text == nvlm.ask(model, processor, "What is this?", images=[picture()], max_new_tokens=4)


def test_disk_offload(published: Path, loaded: Loaded, tmp_path: Path) -> None:
    """What is only renamed is read from where it lies; what is converted is written to the offload folder."""
    where = {"vision_model": "disk", "connector": "disk", "language_model": "cpu"}
    model = NVLMForConditionalGeneration.from_pretrained(
        published, dtype=torch.float32, device_map=where, offload_folder=tmp_path
    )
    assert torch.equal(logits(model, loaded[1]), logits(*loaded))
    written = {path.name for path in tmp_path.glob("*.safetensors")}
    assert f"{own_names(QKV)[0]}.safetensors" in written
    assert not any("connector" in name or "mlp" in name for name in written)


def test_fused_tensors_are_not_shared_out_while_they_are_read(loaded: Loaded, tensors: Tensors) -> None:
    """Each GPU would have a part of the fused rows, and not the part that holds its own."""
    q, *_ = own_names(QKV)
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        shared = distribute_tensor(torch.zeros(80, 80), init_device_mesh("cpu", (1,)), [Replicate()])
        model = SimpleNamespace(get_parameter=lambda name: shared)
        with pytest.raises(ValueError, match=rf"{QKV} cannot be shared out .* nvlm convert SRC DST --to nvlm"):
            FromPublished().convert({QKV: [tensors[QKV]]}, full_layer_name=q, model=model, config=loaded[0].config)
    finally:
        distributed.destroy_process_group()


def test_missing_tensors(copied: Path) -> None:
    change(copied, "mlp1.1.weight", lambda tensor: None)
    with pytest.raises(ValueError, match=r"1 of 86 tensors are missing, the first is mlp1\.1\.weight; was .* in part"):
        nvlm.load(copied)


def test_a_missing_shard(copied: Path) -> None:
    (copied / "model-00002-of-00005.safetensors").unlink()
    with pytest.raises(ValueError, match=r"lacks model-00002-of-00005\.safetensors, which its index names"):
        nvlm.load(copied)


def test_wrong_shapes(copied: Path) -> None:
    change(copied, "mlp1.3.weight", lambda tensor: tensor[:, :-1].contiguous())
    with pytest.raises(ValueError, match=r"mlp1\.3\.weight has the shape \(128, 319\) but config\.json asks for \(128"):
        nvlm.load(copied)


def test_a_config_of_other_weights(copied: Path) -> None:
    set_field(copied, "vision_config", "num_hidden_layers", 2)
    with pytest.raises(ValueError, match=r"13 tensors have no place in the model .* does config\.json belong"):
        nvlm.load(copied)
    set_field(copied, "vision_config", "num_attention_heads", 4)
    with pytest.raises(ValueError, match=r"an encoder of 4 heads of 20 needs"):
        nvlm.load(copied)


def test_a_name_from_elsewhere(copied: Path) -> None:
    index = json.loads((copied / INDEX).read_text())
    index["weight_map"]["mlp2.weight"] = "model-00005-of-00005.safetensors"
    (copied / INDEX).write_text(json.dumps(index))
    file = copied / "model-00005-of-00005.safetensors"
    save_file({**load_file(file), "mlp2.weight": torch.zeros(1)}, file, {"format": "pt"})
    with pytest.raises(ValueError, match=r"mlp2\.weight is no tensor of NVIDIA's layout"):
        nvlm.load(copied)


def test_dummy_heads_that_hold_something(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def fill(tensor: Tensor) -> Tensor:
        tensor[-1, 0] = 1
        return tensor

    change(copied, QKV, fill)
    with pytest.raises(ValueError, match=rf"in .*copy: {QKV} has 5 heads and .* of which 1 are not zero"):
        nvlm.load(copied)
    assert "LOAD REPORT" not in capsys.readouterr().err


def test_dummy_channels_of_norms_without_a_constant_do_not_matter(copied: Path, loaded: Loaded) -> None:
    """They multiply zeros: the model is the same, and only the way back is closed."""

    def fill(tensor: Tensor) -> Tensor:
        tensor[-1] = 3
        return tensor

    change(copied, Q_NORM, fill)
    model, processor = nvlm.load(copied, device="cpu")
    assert torch.equal(logits(model, processor), logits(*loaded))
    assert model.config.published["dummy_norm"] is None
    with pytest.raises(ValueError, match="they held no constant"):
        revert_weight_conversion(model, model.state_dict())


def test_another_language_model(copied: Path) -> None:
    set_field(copied, "llm_config", "architectures", ["LlamaForCausalLM"])
    with pytest.raises(ValueError, match=r"llm_config is a LlamaForCausalLM .* has a Qwen2ForCausalLM"):
        nvlm.load(copied)


def test_pickles(copied: Path) -> None:
    for file in copied.glob("*.safetensors"):
        file.unlink()
    (copied / INDEX).unlink()
    (copied / "pytorch_model-00001-of-00046.bin").write_bytes(b"")
    with pytest.raises(ValueError, match=r"pytorch_model-00001-of-00046\.bin, a pickle .* safetensors\.torch\.save_fi"):
        nvlm.load(copied)


def test_a_tokenizer_without_the_slot(copied: Path) -> None:
    for file in ("tokenizer.json", "tokenizer_config.json"):
        text = (copied / file).read_text().replace("<|vision_pad|>", "<|something|>")
        (copied / file).write_text(text)
    with pytest.raises(ValueError, match=r"has no token '<\|vision_pad\|>' for image slots, and a vocabulary of 448"):
        nvlm.load(copied)


def test_the_processors_own_settings_can_be_changed(published: Path) -> None:
    assert NVLMProcessor.from_pretrained(published, tags_tokenized="alone").tags_tokenized == "alone"
    assert published_processor(published, max_length=64).max_length == 64
