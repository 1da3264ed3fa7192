"""What the tests here do with folders of weights."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from nvlm.checkpoints.shards import INDEX


def tensors_of(folder: Path) -> dict[str, Tensor]:
    """Every tensor of a folder, read by the safetensors library itself."""
    found: dict[str, Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        found |= load_file(file)
    return found


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    """Names, types, shapes and bits."""
    return left.keys() == right.keys() and all(_same(left[name], right[name]) for name in left)


def _same(left: Tensor, right: Tensor) -> bool:
    alike = left.dtype == right.dtype and left.shape == right.shape
    return alike and torch.equal(left.reshape(-1).view(torch.uint8), right.reshape(-1).view(torch.uint8))


def rewrite(folder: Path, tensors: dict[str, Tensor], files: int = 1) -> None:
    """Put other weights into a folder, spread over so many files, one tensor here and the next one there."""
    for old in [*folder.glob("*.safetensors"), *folder.glob(INDEX)]:
        old.unlink()
    names = list(tensors)
    where = {f"part-{number}.safetensors": names[number::files] for number in range(files)}
    for file, held in where.items():
        save_file({name: tensors[name] for name in held}, folder / file)
    if files > 1:
        index = {"weight_map": {name: file for file, held in where.items() for name in held}}
        (folder / INDEX).write_text(json.dumps(index))


def files_of(folder: Path) -> dict[str, bytes]:
    """A folder's files and what is in them."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def read_json(path: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads(path.read_text())
    return content
