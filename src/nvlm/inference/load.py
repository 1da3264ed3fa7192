"""A model and its processor by name: one that is shipped, a local folder, or an id on the Hugging Face hub."""

import difflib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedConfig
from transformers.utils import logging as transformers_logging
from transformers.utils.hub import cached_file

from nvlm.checkpoints.published_folder import check_folder, check_values
from nvlm.checkpoints.stored import refuse_pickles
from nvlm.inference.placement import DeviceMap, find_device_map, find_group, main_device, with_offload_folder
from nvlm.inference.quantization import find_quantization
from nvlm.modeling import NVLMConfig, NVLMForConditionalGeneration
from nvlm.modeling.layouts import LAYOUTS, find_layout
from nvlm.modeling.tensor_parallel import check_sharded
from nvlm.processing import NVLMProcessor

SHIPPED = ("nano-d", "nano-x", "nano-h")
"""Models that come with the package."""

MODELS = Path(__file__).resolve().parents[1] / "models"
DTYPES = {
    "float32": torch.float32, "fp32": torch.float32,
    "bfloat16": torch.bfloat16, "bf16": torch.bfloat16,
    "float16": torch.float16, "fp16": torch.float16,
}  # fmt: skip


def load(
    name_or_folder: str | Path,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    device_map: DeviceMap | None = None,
    quantization: str | None = None,
    tensor_parallel: int | None = None,
) -> tuple[NVLMForConditionalGeneration, NVLMProcessor]:
    """A model, ready to answer, and its processor; from this family's layout or NVIDIA's of NVLM-D-72B.

    Args:
        name_or_folder: a shipped model (`nano-d`, `nano-x`, `nano-h`, in any case), else a local folder, else
            `owner/name` on the hub.
        device: where it runs; a GPU if there is one, else the CPU.
        dtype: of its weights; float32 on a CPU and bfloat16 elsewhere.
        device_map: in place of `device`, for several: a number of GPUs (the model card's split by layers), "auto", or a
            dictionary from modules to devices, of which "cpu" and "disk" are two.
        quantization: the language model's linear layers in fewer bits: "fp8", "int8" or "int4" by torchao, or "4bit" by
            bitsandbytes.
        tensor_parallel: in place of `device`, so many processes, each with its GPU, that torchrun has started.

    Raises:
        ValueError: no such name, an unknown device or dtype, options that do not go together, a folder whose weights
            are no safetensors or do not fit its configuration, or a model of another family.
        FileNotFoundError: no such folder, or nothing in it or on the hub that can be loaded.
    """
    _check_together(device=device, device_map=device_map, tensor_parallel=tensor_parallel)
    _check_together(quantization=quantization, tensor_parallel=tensor_parallel)
    place = _main_device(device, device_map)
    kind = find_dtype(dtype, place)
    source = find_source(str(name_or_folder))
    config = _read_config(source)
    options = _options(config, place, kind, device_map, quantization, tensor_parallel)
    silent = Path(source).parent == MODELS or not sys.stderr.isatty()
    with quiet(silent), _without_report(find_layout(source) is not None):
        model = _load_model(source, kind, options)
        processor = NVLMProcessor.from_pretrained(source)
    _check_pair(model.config, processor, source)
    if tensor_parallel is not None:
        check_sharded(model)
    ready: Any = model
    return (ready if options else ready.to(place)).eval(), processor


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
        refuse_pickles(folder)
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


def _read_config(source: str) -> NVLMConfig:
    """The configuration of a model of this family; a folder in NVIDIA's layout has to hold all of it."""
    folder = Path(source)
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise FileNotFoundError(f"the folder {source} holds no config.json; is it a saved model?")
    try:
        found, _ = PreTrainedConfig.get_config_dict(source)
    except OSError as error:
        if folder.is_dir():
            raise ValueError(f"the config.json in {source} is no readable JSON; was it cut short?") from error
        raise FileNotFoundError(_unreachable(source, error)) from error
    family = found.get("model_type")
    if family != NVLMConfig.model_type and family not in LAYOUTS:
        raise ValueError(
            f"{source} is a model of the family {family!r}, but only {NVLMConfig.model_type!r}, and "
            f"{' and '.join(map(repr, LAYOUTS))} in NVIDIA's layout, can be loaded"
        )
    config: NVLMConfig = NVLMConfig.from_pretrained(source)
    if family in LAYOUTS and folder.is_dir():
        check_folder(folder, config)
    return config


def _unreachable(source: str, error: OSError) -> str:
    return (
        f"{source} is neither a local folder nor can it be fetched from the hub; is this machine offline, the name "
        f"misspelt, or a login needed? ({' '.join(str(error).split())[:200]})"
    )


def _check_together(**options: Any) -> None:
    """Refuse more than one of these options."""
    given = [name for name, value in options.items() if value is not None]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} do not go together; give one of them")


def _main_device(device: str | torch.device | None, devices: DeviceMap | None) -> torch.device:
    """Where the model takes its inputs; all devices that are named have to be there."""
    if not isinstance(devices, Mapping):
        return find_device(device)
    named: Mapping[str, Any] = devices
    return main_device({name: place if place == "disk" else find_device(place) for name, place in named.items()})


def _options(
    config: NVLMConfig,
    place: torch.device,
    dtype: torch.dtype,
    devices: DeviceMap | None,
    quantization: str | None,
    group: int | None,
) -> dict[str, Any]:
    """What `from_pretrained` takes where the model is not simply moved to one device afterwards."""
    options: dict[str, Any] = {}
    if group is not None:
        options["distributed_config"] = find_group(group, config)
    if devices is not None:
        options["device_map"] = find_device_map(devices, config)
    if quantization is not None:
        options["quantization_config"] = find_quantization(quantization, config, dtype, place)
        options.setdefault("device_map", {"": place})
    return options


def _load_model(source: str, dtype: torch.dtype, options: dict[str, Any]) -> NVLMForConditionalGeneration:
    read = partial(
        NVLMForConditionalGeneration.from_pretrained,
        source,
        dtype=dtype,
        use_safetensors=True,
        output_loading_info=True,
        ignore_mismatched_sizes=True,
        **options,
    )
    try:
        loaded: Any = with_offload_folder(read) if "device_map" in options else read()
    except OSError as error:
        raise FileNotFoundError(
            f"{source} holds no weights as safetensors ({' '.join(str(error).split())[:200]})"
        ) from error
    except RuntimeError as error:
        _explain(source, error)
        raise
    model, report = loaded
    if wrong := sorted(report["mismatched_keys"]):
        name, found, wanted = wrong[0]
        raise ValueError(
            f"{len(wrong)} of the weights in {source} have another shape than its config.json asks for, the first is "
            f"{name}: {tuple(found)} instead of {tuple(wanted)}; does config.json belong to these weights?"
        )
    if missing := sorted(report["missing_keys"]):
        raise ValueError(
            f"{source} lacks {len(missing)} of the weights that its config.json asks for, the first is {missing[0]}; "
            "was the folder copied only in part?"
        )
    result: NVLMForConditionalGeneration = model
    return result


def _explain(source: str, error: RuntimeError) -> None:
    """Say what is wrong with a tensor that `nvlm.checkpoints` refused while transformers read it, where that is so.

    transformers puts the reason into its report and raises an error without it.
    """
    if find_layout(source) is None:
        return
    folder = Path(str(cached_file(source, "config.json"))).parent
    try:
        check_values(folder, NVLMConfig.from_pretrained(source))
    except ValueError as reason:
        raise ValueError(f"in {source}: {reason}") from error


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
def _without_report(silent: bool) -> Iterator[None]:
    """Without transformers' table of the tensors that do not fit; for a layout of which `load` checks every name."""
    levels: Any = transformers_logging
    before = levels.get_verbosity()
    if silent:
        levels.set_verbosity_error()
    try:
        yield
    finally:
        levels.set_verbosity(before)


@contextmanager
def quiet(silent: bool) -> Iterator[None]:
    """Without transformers' progress bar: shipped models load in a moment, and elsewhere nobody may be watching."""
    bars: Any = transformers_logging
    before = bars.is_progress_bar_enabled()
    if silent:
        bars.disable_progress_bar()
    try:
        yield
    finally:
        if silent and before:
            bars.enable_progress_bar()
