"""What a folder of safetensors files holds, known from their headers; and its tensors, one at a time."""

import json
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError, safe_open
from torch import Tensor

from nvlm.checkpoints.shards import INDEX

__all__ = ["Stored", "StoredTensors", "refuse_pickles"]

PICKLES = (".bin", ".pt", ".pth", ".ckpt")


class Stored(NamedTuple):
    """Where a tensor lies and what it is; `dtype` as safetensors spells it (`BF16`)."""

    file: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int


class StoredTensors:
    """The tensors of a folder by name, in the order in which they lie there.

    Args:
        folder: with one safetensors file, or several and their index.

    Raises:
        ValueError: no weights, pickles instead, a file that is missing or cut short, or an index that does not go with
            the files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        refuse_pickles(folder)
        index = _read_index(folder)
        self.files = sorted(set(index.values())) if index else [_only_file(folder)]
        self.tensors: dict[str, Stored] = {}
        for file in self.files:
            for name, stored in self._header(file).items():
                if name in self.tensors:
                    raise ValueError(f"{name} is in {self.tensors[name].file} and again in {file}, both in {folder}")
                self.tensors[name] = stored
        if index:
            self._check_index(index)

    def read(self, name: str) -> Tensor:
        """One tensor. Its bytes are read when they are used, and let go with it."""
        with safe_open(self.folder / self.tensors[name].file, framework="pt") as file:
            tensor: Tensor = file.get_tensor(name)
            return tensor

    def _header(self, file: str) -> dict[str, Stored]:
        path = self.folder / file
        if not path.is_file():
            raise ValueError(
                f"{self.folder} lacks {file}, which its index names; was the folder copied or downloaded only in part?"
            )
        try:
            with safe_open(path, framework="pt") as opened:
                return {
                    name: Stored(
                        file,
                        opened.get_slice(name).get_dtype(),
                        tuple(opened.get_slice(name).get_shape()),
                        opened.get_tensor(name).nbytes,
                    )
                    for name in opened.offset_keys()
                }
        except SafetensorError as error:
            raise ValueError(
                f"{path} is no whole safetensors file ({error}); was it copied or downloaded only in part?"
            ) from error

    def _check_index(self, index: dict[str, str]) -> None:
        for name, file in index.items():
            if name not in self.tensors or self.tensors[name].file != file:
                raise ValueError(f"the index of {self.folder} says that {name} is in {file}, but it is not there")
        if unnamed := [name for name in self.tensors if name not in index]:
            raise ValueError(
                f"{self.folder / self.tensors[unnamed[0]].file} holds {unnamed[0]}, which the index does not name; "
                "are the files of one model?"
            )


def refuse_pickles(folder: Path) -> None:
    """Refuse folders whose weights are pickles, which can run code while they are read.

    Raises:
        ValueError: they are, with the way out.
    """
    if any(folder.glob("*.safetensors")):
        return
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
    if pickles:
        raise ValueError(
            f"{folder} holds its weights as {pickles[0]}, a pickle that can run code while it is read, and no "
            "safetensors; convert it once: safetensors.torch.save_file(torch.load(FILE, weights_only=True), "
            "'model.safetensors')"
        )


def _read_index(folder: Path) -> dict[str, str]:
    """Tensor → file; empty where there is no index."""
    path = folder / INDEX
    if not path.is_file():
        return {}
    try:
        index = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        return {str(name): str(file) for name, file in index.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is no index of safetensors files; was it cut short?") from error


def _only_file(folder: Path) -> str:
    found = sorted(path.name for path in folder.glob("*.safetensors"))
    if "model.safetensors" in found:
        return "model.safetensors"
    if len(found) == 1:
        return found[0]
    if not found:
        raise ValueError(f"{folder} holds no weights: there is no safetensors file in it")
    raise ValueError(f"{folder} holds {len(found)} safetensors files but no {INDEX}, which says what is where")
