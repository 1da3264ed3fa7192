"""A folder in NVIDIA's layout held against its config.json: before it is read, and when reading it has failed."""

import copy
from collections.abc import Mapping
from pathlib import Path

import torch

from nvlm.checkpoints.published import note_padding, own_names, published_shapes, to_own
from nvlm.checkpoints.stored import StoredTensors
from nvlm.modeling.config import NVLMConfig

__all__ = ["check_folder", "check_shapes", "check_values"]


def check_folder(folder: Path, config: NVLMConfig) -> None:
    """Make sure that every tensor of the model is there, of its shape, and nothing else; read from the headers only.

    Raises:
        ValueError: it is not so, or the folder's files are not whole.
    """
    shapes = {name: stored.shape for name, stored in StoredTensors(folder).tensors.items()}
    try:
        check_shapes(shapes, config)
    except ValueError as error:
        raise ValueError(f"in {folder}: {error}") from error


def check_shapes(shapes: Mapping[str, tuple[int, ...]], config: NVLMConfig) -> None:
    """As `check_folder`, of published names and shapes."""
    config = copy.deepcopy(config)
    for name, shape in shapes.items():
        own_names(name)
        note_padding(name, torch.empty(shape, device="meta"), config)
    wanted = published_shapes(config)
    if missing := [name for name in wanted if name not in shapes]:
        raise ValueError(
            f"{len(missing)} of {len(wanted)} tensors are missing, the first is {missing[0]}; was the folder copied or "
            "downloaded only in part?"
        )
    if unknown := [name for name in shapes if name not in wanted]:
        raise ValueError(
            f"{len(unknown)} tensors have no place in the model that config.json describes, the first is {unknown[0]}; "
            "does config.json belong to these weights?"
        )
    for name, shape in shapes.items():
        if tuple(shape) != wanted[name]:
            raise ValueError(
                f"{name} has the shape {tuple(shape)} but config.json asks for {wanted[name]}; does it belong to these "
                "weights?"
            )


def check_values(folder: Path, config: NVLMConfig) -> None:
    """Make sure that what is cut off, the dummy heads, holds nothing.

    Raises:
        ValueError: it does.
    """
    tensors = StoredTensors(folder)
    for name in tensors.tensors:
        to_own(name, tensors.read(name), config)
