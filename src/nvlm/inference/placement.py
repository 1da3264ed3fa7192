"""Where the parts of a model go when they do not all go to one device."""

import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from transformers.distributed.configuration_utils import DistributedConfig

from nvlm.modeling.config import NVLMConfig
from nvlm.modeling.model import CARD_NAMES
from nvlm.modeling.tensor_parallel import check_divides
from nvlm.planning.layouts import device_map, skeleton

__all__ = ["DeviceMap", "find_device_map", "find_group", "input_device", "main_device", "with_offload_folder"]

DeviceMap: TypeAlias = int | str | Mapping[str, int | str | torch.device]
"""So many GPUs, a way of sharing that transformers knows, or the device of each module by name."""

AUTOMATIC = ("auto", "balanced", "balanced_low_0", "sequential")
OFFLOADED = ("cpu", "disk")


def find_device_map(given: DeviceMap, config: NVLMConfig) -> str | dict[str, Any]:
    """What transformers takes as `device_map`: a number of GPUs becomes the model card's split by layers.

    Raises:
        ValueError: GPUs that are not there, a word that is not understood, or a dictionary that leaves a module out.
    """
    if isinstance(given, int):
        _check_gpus(given)
        return device_map(config, given)
    if isinstance(given, str):
        if given not in AUTOMATIC:
            raise ValueError(
                f"device_map is {given!r}; it is a number of GPUs, one of {', '.join(AUTOMATIC)}, or a dictionary from "
                "modules to devices"
            )
        return given
    places = {CARD_NAMES.get(name, name): place for name, place in given.items()}
    missing = [name for name, _ in skeleton(config).named_parameters() if not _is_placed(name, places)]
    if missing:
        raise ValueError(
            f"the device_map has no place for {len(missing)} of the model's weights, the first is {missing[0]}; "
            "nvlm.device_map(config, gpus) gives a complete one"
        )
    return places


def find_group(size: int, config: NVLMConfig) -> DistributedConfig:
    """Tensor parallelism among `size` processes, each with its GPU; this is one of them.

    Raises:
        ValueError: fewer than two, the language model's heads cannot be shared so, or this process was not started
            with the others.
    """
    if size < 2:
        raise ValueError(f"tensor_parallel is {size}, but a group has at least 2 GPUs")
    check_divides(config, size)
    started = int(os.environ.get("WORLD_SIZE", 1))
    if started != size:
        raise ValueError(
            f"tensor_parallel is {size}, but this is one of {started} processes; start the script with "
            f"torchrun --nproc-per-node {size}"
        )
    return DistributedConfig(tp_size=size)


def with_offload_folder(load: Callable[..., tuple[Any, Any]]) -> tuple[Any, Any]:
    """Call `load`, which gives (model, report), with an `offload_folder` for weights that wait on the disk in another
    form than the checkpoint has them.

    It lies where temporary files lie (`TMPDIR`), and goes with the model, or at once if loading fails.
    """
    folder = tempfile.mkdtemp(prefix="nvlm-offload-")
    try:
        model, report = load(offload_folder=folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(model, shutil.rmtree, folder, ignore_errors=True)
    return model, report


def main_device(places: Mapping[str, Any]) -> torch.device:
    """The device that prompts go to and logits come from: the first one that is no place for waiting."""
    return torch.device(next((place for place in places.values() if str(place) not in OFFLOADED), "cpu"))


def input_device(model: Any) -> torch.device:
    """The device that a loaded model's inputs go to, also where some of its weights wait on the disk."""
    places: Mapping[str, Any] | None = getattr(model, "hf_device_map", None)
    device: torch.device = model.device if places is None else main_device(places)
    return device


def _check_gpus(wanted: int) -> None:
    found = torch.accelerator.device_count() if torch.accelerator.is_available() else 0
    if wanted > found:
        raise ValueError(f"the device_map is for {wanted} GPUs, but PyTorch finds {found or 'none'} on this machine")


def _is_placed(name: str, places: Mapping[str, Any]) -> bool:
    return any(name == module or name.startswith(f"{module}.") or not module for module in places)
