"""A model and its processor by name: one that is shipped, a local folder, or an id on the Hugging Face hub."""

import difflib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedConfig
from transformers.utils import logging as transformers_logging

from nvlm.modeling import NVLMConfig, NVLMForConditionalGeneration
from nvlm.processing import NVLMProcessor

SHIPPED = ("nano-d", "nano-x", "nano-h")
"""Models that come with the package."""

MODELS = Path(__file__).resolve().parents[1] / "models"
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
DTYPES = {
    "float32": torch.float32, "fp32": torch.float32,
    "bfloat16": torch.bfloat16, "bf16": torch.bfloat16,
    "float16": torch.float16, "fp16": torch.float16,
}  # fmt: skip


def load(
    name_or_folder: str | Path, device: str | torch.device | None = None, dtype: str | torch.dtype | None = None
) -> tuple[NVLMForConditionalGeneration, NVLMProcessor]:
    """A model, ready to answer, and its processor.

    Args:
        name_or_folder: a shipped model (`nano-d`, `nano-x`, `nano-h`, in any case), else a local folder, else
            `owner/name` on the hub.
        device: where it runs; a GPU if there is one, else the CPU.
        dtype: of its weights; float32 on a CPU and bfloat16 elsewhere.

    Raises:
        ValueError: no such name, an unknown device or dtype, a folder whose weights are no safetensors or do not fit
            its configuration, or a model of another family.
        FileNotFoundError: no such folder, or nothing in it or on the hub that can be loaded.
    """
    place = find_device(device)
    kind = find_dtype(dtype, place)
    source = find_source(str(name_or_folder))
    _check_family(source)
    with _quiet(Path(source).parent == MODELS or not sys.stderr.isatty()):
        model = _load_model(source, kind)
        processor = NVLMProcessor.from_pretrained(source)
    _check_pair(model.config, processor, source)
    ready: Any = model
    return ready.to(place).eval(), processor


def find_source(name: str) -> str:
    """The folder of a model, or its id on the hub.

    Raises:
        ValueError: a name that is neither shipped nor a folder nor `owner/name`.
        FileNotFoundError: a folder that does not exist.
    """
    if name.lower() in SHIPPED:
        return str(_shipped(name.lower()))
    folder = Path(name).expanduser()
    if folder.is_dir():
        _check_weights(folder)
        return str(folder)
    if folder.is_file():
        raise ValueError(f"{name} is a file, but a model is the folder that holds config.json and model.safetensors")
    if name.startswith((".", "~", "/")) or name.count("/") > 1 or "\\" in name:
        raise FileNotFoundError(f"the folder {name} does not exist")
    if name.count("/") == 1 and all(name.split("/")):
        return name
    near = difflib.get_close_matches(name.lower(), SHIPPED, n=1, cutoff=0.5)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise ValueError(
        f"there is no model called {name!r}{hint}; shipped are {', '.join(SHIPPED)}; anything else is a local folder, "
        "or owner/name on the Hugging Face hub"
    )


def find_device(device: str | torch.device | None = None) -> torch.device:
    """The device itself, or the one to use where none is named.

    Raises:
        ValueError: no such device here.
    """
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if device is None:
        return accelerator or torch.device("cpu")
    try:
        place = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"{device!r} is no device; name one like cpu, cuda or cuda:1") from error
    if place.type != "cpu" and (accelerator is None or place.type != accelerator.type):
        here = "only a CPU" if accelerator is None else f"a CPU and {accelerator.type}"
        raise ValueError(f"the device {str(device)!r} is not there: PyTorch finds {here} on this machine")
    count = torch.accelerator.device_count() if place.type != "cpu" else 1
    if (place.index or 0) >= count:
        raise ValueError(f"the device {str(device)!r} is not there: PyTorch finds {count} of its kind, counted from 0")
    return place


def find_dtype(dtype: str | torch.dtype | None, device: torch.device) -> torch.dtype:
    """The dtype itself, by name, or the one to use on a device.

    Raises:
        ValueError: no dtype to run a model in.
    """
    if dtype is None:
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    if isinstance(dtype, torch.dtype):
        return dtype
    if dtype not in DTYPES:
        raise ValueError(f"{dtype!r} is no dtype for a model; there are {', '.join(DTYPES)}")
    return DTYPES[dtype]


def _shipped(name: str) -> Path:
    folder = MODELS / name
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(
            f"the shipped model {name} is missing from {MODELS}; install the package with its data, or train it again: "
            f"nvlm train nano --arch {name[-1]}"
        )
    return folder


def _check_weights(folder: Path) -> None:
    """Refuse folders whose weights are pickles, which can run code while they are read."""
    if any(folder.glob("*.safetensors")):
        return
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
    if pickles:
        raise ValueError(
            f"{folder} holds its weights as {pickles[0]}, a pickle that can run code while it is read, and no "
            "safetensors; convert it once: safetensors.torch.save_file(torch.load(FILE, weights_only=True), "
            "'model.safetensors')"
        )


def _check_family(source: str) -> None:
    folder = Path(source)
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise FileNotFoundError(f"the folder {source} holds no config.json; is it a saved model?")
    try:
        config, _ = PreTrainedConfig.get_config_dict(source)
    except OSError as error:
        if folder.is_dir():
            raise ValueError(f"the config.json in {source} is no readable JSON; was it cut short?") from error
        raise FileNotFoundError(_unreachable(source, error)) from error
    family = config.get("model_type")
    if family != NVLMConfig.model_type:
        raise ValueError(
            f"{source} is a model of the family {family!r}, but only {NVLMConfig.model_type!r} can be loaded"
        )


def _unreachable(source: str, error: OSError) -> str:
    return (
        f"{source} is neither a local folder nor can it be fetched from the hub; is this machine offline, the name "
        f"misspelt, or a login needed? ({' '.join(str(error).split())[:200]})"
    )


def _load_model(source: str, dtype: torch.dtype) -> NVLMForConditionalGeneration:
    try:
        loaded: Any = NVLMForConditionalGeneration.from_pretrained(
            source, dtype=dtype, use_safetensors=True, output_loading_info=True
        )
    except OSError as error:
        raise FileNotFoundError(
            f"{source} holds no weights as safetensors ({' '.join(str(error).split())[:200]})"
        ) from error
    model, report = loaded
    if missing := sorted(report["missing_keys"]):
        raise ValueError(
            f"{source} lacks {len(missing)} of the weights that its config.json asks for, the first is {missing[0]}; "
            "was the folder copied only in part?"
        )
    result: NVLMForConditionalGeneration = model
    return result


def _check_pair(config: NVLMConfig, processor: NVLMProcessor, source: str) -> None:
    """Refuse a processor that was saved for another model."""
    wanted = {"architecture": config.architecture, "tokens_per_view": config.tokens_per_view}
    if config.places.in_sequence:
        wanted["image_token_id"] = config.image_token_id
    for name, value in wanted.items():
        if (found := getattr(processor, name)) != value:
            raise ValueError(f"in {source} the model's {name} is {value} but the processor's is {found}")
    if (tile := processor.image_processor.tile_size) != config.tile_size:
        raise ValueError(
            f"in {source} the model reads tiles of {config.tile_size} pixels but the processor cuts {tile}"
        )


@contextmanager
def _quiet(quiet: bool) -> Iterator[None]:
    """Without transformers' progress bar: shipped models load in a moment, and elsewhere nobody may be watching."""
    bars: Any = transformers_logging
    before = bars.is_progress_bar_enabled()
    if quiet:
        bars.disable_progress_bar()
    try:
        yield
    finally:
        if quiet and before:
            bars.enable_progress_bar()
