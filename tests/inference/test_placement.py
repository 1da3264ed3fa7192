"""Models in several places: the processor's memory and the disk stand in for GPUs; hooks bring the parts together."""

import gc
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import nvlm
from nvlm.inference import Conversation, ask, load
from nvlm.inference.placement import find_device_map, input_device, main_device
from tests.modeling.batches import config

PICTURE = Image.linear_gradient("L").resize((384, 256))
PARTS = ("vision_model", "connector", "embed_tokens", ".layers.1", "lm_head", "")
QUESTION = "Read the text."


@pytest.fixture(params=["D", "X", "H", "published"])
def folder(request: pytest.FixtureRequest, tiny_folders: dict[str, Path], published: Path) -> Path:
    return published if request.param == "published" else tiny_folders[request.param]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def places(folder: Path, on_disk: str) -> dict[str, str]:
    names = nvlm.device_map(nvlm.NVLMConfig.from_pretrained(folder), gpus=1)
    return {name: "disk" if on_disk in name else "cpu" for name in names}


@pytest.mark.parametrize("on_disk", PARTS)
def test_a_part_that_waits_on_the_disk_changes_nothing(folder: Path, on_disk: str, temporary: Path) -> None:
    expected = ask(*load(folder, dtype="float32"), QUESTION, PICTURE, max_new_tokens=5)
    model, processor = load(folder, dtype="float32", device_map=places(folder, on_disk))
    waiting = {name for name, parameter in model.named_parameters() if parameter.is_meta}
    assert waiting == {name for name, _ in model.named_parameters() if on_disk in name.rpartition(".")[0]}
    assert ask(model, processor, QUESTION, PICTURE, max_new_tokens=5) == expected
    assert "".join(Conversation(model, processor, max_new_tokens=5).say(QUESTION, PICTURE)).strip() == expected


def test_the_disk_is_left_as_it_was(published: Path, temporary: Path) -> None:
    """What the layout's own files cannot serve, here the encoder's heads without the dummies, lies in a folder that
    goes with the model."""
    model, _ = load(published, device_map=places(published, "vision_model"))
    (kept,) = temporary.iterdir()
    assert any(kept.iterdir())
    del model
    gc.collect()
    assert list(temporary.iterdir()) == []


def test_an_error_leaves_nothing_on_the_disk(published: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **options: Any) -> None:
        assert Path(options["offload_folder"]).is_dir()
        raise KeyboardInterrupt

    monkeypatch.setattr(nvlm.NVLMForConditionalGeneration, "from_pretrained", fail)
    with pytest.raises(KeyboardInterrupt):
        load(published, device_map="auto")
    assert list(temporary.iterdir()) == []


def test_automatic_placement(folder: Path) -> None:
    model, processor = load(folder, device_map="auto")
    assert ask(model, processor, QUESTION, PICTURE, max_new_tokens=5)


def test_the_model_cards_names_are_understood(published: Path) -> None:
    named = {"mlp1" if name == "connector" else name: place for name, place in places(published, "mlp").items()}
    model, _ = load(published, device_map=named)
    assert {parameter.device.type for parameter in model.parameters()} == {"cpu"}
    model = nvlm.NVLMForConditionalGeneration.from_pretrained(
        published, device_map=named | {"mlp1": "disk"}, use_flash_attn=False
    )
    assert {name for name, parameter in model.named_parameters() if parameter.is_meta} == {
        name for name, _ in model.named_parameters() if name.startswith("connector.")
    }


def test_flash_attention_is_asked_for_by_the_cards_name(published: Path) -> None:
    with pytest.raises((ImportError, ValueError), match=r"[Ff]lash"):
        nvlm.NVLMForConditionalGeneration.from_pretrained(published, use_flash_attn=True)


def test_inputs_go_where_the_model_computes() -> None:
    assert main_device({"a": "disk", "b": "cpu", "c": "cuda:1", "d": "cuda:0"}) == torch.device("cuda:1")
    assert main_device({"": "disk"}) == torch.device("cpu")
    assert main_device({"": torch.device("cpu")}) == torch.device("cpu")


def test_inputs_go_to_a_place_also_when_the_encoder_has_none(published: Path) -> None:
    model, _ = load(published, device_map=places(published, "vision_model"))
    assert model.device.type == "meta"
    assert input_device(model) == torch.device("cpu")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device_map": 99}, "device_map is for 99 GPUs, but PyTorch finds"),
        ({"device_map": 0}, "gpus is 0, but a model stands on at least 1"),
        ({"device_map": "everywhere"}, "'everywhere'; it is a number of GPUs, one of auto, balanced"),
        ({"device_map": {"vision_model": "cpu"}}, r"no place for \d+ of the model's weights, the first is connector"),
        ({"device_map": {"": "toaster"}}, "'toaster' is no device"),
        ({"device_map": {"": "meta"}}, "'meta' is not there"),
        ({"device_map": {"": 99}}, "99 is no device|'cuda:99' is not there|99"),
        ({"device_map": "auto", "device": "cpu"}, "device and device_map do not go together"),
        ({"device_map": "auto", "tensor_parallel": 2}, "device_map and tensor_parallel do not go together"),
        ({"quantization": "int8", "tensor_parallel": 2}, "quantization and tensor_parallel do not go together"),
        ({"tensor_parallel": 2}, "shared evenly among 2 GPUs"),
        ({"tensor_parallel": 1}, "tensor_parallel is 1, but a group has at least 2 GPUs"),
    ],
)
def test_what_cannot_be_placed(options: dict[str, Any], message: str, tiny_folders: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match=message):
        load(tiny_folders["H"], **options)


def test_a_group_needs_its_processes(published: Path) -> None:
    with pytest.raises(ValueError, match="one of 1 processes; start the script with torchrun --nproc-per-node 2"):
        load(published, tensor_parallel=2)


def test_a_number_of_gpus_is_the_cards_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 4)
    assert find_device_map(3, config("X")) == nvlm.device_map(config("X"), 3)


@pytest.mark.gpu
def test_several_gpus_answer_as_one(folder: Path) -> None:
    count = torch.accelerator.device_count()
    if count < 2:
        pytest.skip(f"needs 2 GPUs, and there are {count}")
    expected = ask(*load(folder, dtype="float32"), QUESTION, PICTURE, max_new_tokens=5)
    for gpus in {2, count}:
        model, processor = load(folder, dtype="float32", device_map=gpus)
        used = {parameter.device.index for parameter in model.parameters()}
        assert used == set(nvlm.device_map(model.config, gpus).values())
        assert ask(model, processor, QUESTION, PICTURE, max_new_tokens=5) == expected
