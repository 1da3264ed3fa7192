"""States of lanes on disk: JSON, with bytes and tensors beside it as safetensors. Nothing is pickled."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

TENSOR, BYTES = "$tensor", "$bytes"
"""Keys of the dictionaries that stand for what JSON does not hold."""


def write(folder: Path, lane: int, state: dict[str, Any]) -> None:
    """Write one lane's state into ``folder``.

    Raises:
        TypeError: the state holds something that is no number, text, list, dictionary, bytes or tensor.
    """
    tensors: dict[str, Tensor] = {}
    tree = _packed(state, tensors, f"the state of lane {lane}")
    if tensors:
        save_file(tensors, folder / f"lane-{lane:05d}.safetensors")
    (folder / f"lane-{lane:05d}.json").write_text(json.dumps(tree), encoding="utf-8")


def read(folder: Path, lane: int) -> dict[str, Any]:
    """One lane's state."""
    tree = json.loads((folder / f"lane-{lane:05d}.json").read_text(encoding="utf-8"))
    beside = folder / f"lane-{lane:05d}.safetensors"
    state: dict[str, Any] = _unpacked(tree, load_file(beside) if beside.exists() else {})
    return state


def _packed(value: Any, tensors: dict[str, Tensor], where: str) -> Any:
    if isinstance(value, Tensor | bytes):
        name = str(len(tensors))
        if isinstance(value, Tensor):
            tensors[name] = value.detach().contiguous()
            return {TENSOR: name}
        tensors[name] = torch.tensor(list(value), dtype=torch.uint8)
        return {BYTES: name}
    if isinstance(value, Mapping):
        if odd := [key for key in value if not isinstance(key, str) or key in (TENSOR, BYTES)]:
            raise TypeError(f"{where} has the key {odd[0]!r}; keys are text")
        return {key: _packed(each, tensors, f"{where}, {key}") for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_packed(each, tensors, f"{where}, {number}") for number, each in enumerate(value)]
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"{where} is a {type(value).__name__}, which is neither JSON nor bytes nor a tensor")


def _unpacked(tree: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(tree, list):
        return [_unpacked(each, tensors) for each in tree]
    if not isinstance(tree, dict):
        return tree
    if TENSOR in tree:
        return tensors[tree[TENSOR]]
    if BYTES in tree:
        return bytes(tensors[tree[BYTES]].tolist())
    return {key: _unpacked(each, tensors) for key, each in tree.items()}
