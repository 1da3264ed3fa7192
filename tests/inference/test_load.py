"""Names, folders and hub ids; and what is refused."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedConfig

from nvlm.inference import ask, load
from nvlm.inference.load import find_device, find_dtype, find_source
from tests.inference.tiny import Tiny

QUESTION = "What is the total?"


@pytest.mark.parametrize("architecture", ["D", "X", "H"])
def test_a_folder_answers_as_the_model_that_was_saved(
    architecture: str, tiny_models: dict[str, Tiny], tiny_folders: dict[str, Path]
) -> None:
    model, processor = load(tiny_folders[architecture])
    assert not model.training
    assert model.dtype == torch.float32 or model.device.type != "cpu"
    assert processor.architecture == architecture
    assert ask(model, processor, QUESTION, max_new_tokens=6) == ask(
        *tiny_models[architecture], QUESTION, max_new_tokens=6
    )


def test_dtype_and_device_are_taken_over(tiny_folders: dict[str, Path]) -> None:
    model, _ = load(str(tiny_folders["D"]), device="cpu", dtype="bf16")
    assert (model.dtype, model.device.type) == (torch.bfloat16, "cpu")


def test_shipped_names_in_any_case(
    tiny_folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_folders["X"], tmp_path / "nano-x")
    monkeypatch.setattr(sys.modules["nvlm.inference.load"], "MODELS", tmp_path)
    model, _ = load("Nano-X")
    assert model.config.architecture == "X"
    with pytest.raises(FileNotFoundError, match=r"nano-h is missing .* nvlm train nano --arch h"):
        load("nano-h")


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("nano-z", ValueError, r"no model called 'nano-z' \(did you mean nano-"),
        ("banana", ValueError, "shipped are nano-d, nano-x, nano-h"),
        ("./nothing", FileNotFoundError, r"folder \./nothing does not exist"),
        ("a/b/c", FileNotFoundError, "folder a/b/c does not exist"),
        (__file__, ValueError, "is a file, but a model is the folder"),
    ],
)
def test_names_that_are_nothing(name: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        load(name)


def test_a_hub_id_is_left_to_the_hub() -> None:
    assert find_source("nvidia/NVLM-D-72B") == "nvidia/NVLM-D-72B"


def test_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*args: object, **kwargs: object) -> None:
        raise OSError("We couldn't connect\nto the hub")

    monkeypatch.setattr(PreTrainedConfig, "get_config_dict", unreachable)
    with pytest.raises(
        FileNotFoundError, match=r"owner/name is neither a local folder .* offline.*couldn't connect to"
    ):
        load("owner/name")


def test_pickles_are_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ValueError, match=r"pytorch_model\.bin, a pickle .* safetensors\.torch\.save_file"):
        load(tmp_path)


def test_folders_that_hold_no_model(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no config\.json"):
        load(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="no readable JSON"):
        load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2"}))
    with pytest.raises(ValueError, match="family 'qwen2', but only 'nvlm'"):
        load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "nvlm"}))
    with pytest.raises(FileNotFoundError, match="no weights as safetensors"):
        load(tmp_path)


def test_missing_weights_are_not_made_up(tiny_folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folders["H"], tmp_path / "part")
    weights = load_file(folder / "model.safetensors")
    gone = [name for name in weights if "cross_attention" in name]
    save_file(
        {name: weights[name] for name in weights if name not in gone}, folder / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(ValueError, match=rf"lacks {len(gone)} of the weights .*copied only in part"):
        load(folder)


def test_weights_of_another_shape_are_not_made_up(tiny_folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folders["D"], tmp_path / "other")
    weights = load_file(folder / "model.safetensors")
    weights["connector.norm.weight"] = weights["connector.norm.weight"][:-1].contiguous()
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=r"1 of the weights .* connector\.norm\.weight: \(63,\) instead of \(64,\)"):
        load(folder)


def test_model_and_processor_must_belong_together(tiny_folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folders["D"], tmp_path / "mixed")
    for file in tiny_folders["X"].iterdir():
        if file.name.startswith("processor"):
            shutil.copy(file, folder)
    with pytest.raises(ValueError, match="model's architecture is D but the processor's is X"):
        load(folder)


def test_devices_and_dtypes() -> None:
    assert find_device("cpu") == torch.device("cpu")
    with pytest.raises(ValueError, match="'toaster' is no device"):
        find_device("toaster")
    with pytest.raises(ValueError, match="'cuda:99' is not there"):
        find_device("cuda:99")
    assert find_dtype(None, torch.device("cpu")) == torch.float32
    assert find_dtype(None, torch.device("cuda")) == torch.bfloat16
    assert find_dtype(torch.float16, torch.device("cpu")) == torch.float16
    with pytest.raises(ValueError, match="'int4' is no dtype"):
        find_dtype("int4", torch.device("cpu"))
