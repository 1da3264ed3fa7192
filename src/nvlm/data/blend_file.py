"""Blends as YAML.

    weights: tokens          # what the weights below count: samples, if nothing is said, or tokens
    stage: sft               # of the datasets that are named, here and in the parts
    root: shards             # where their folders are: shards/sft/chartqa
    parts:
    - dataset: chartqa       # a row of the manifest
      weight: 2
    - path: own/receipts     # a folder of shards
    - path: text.yaml        # another blend
      weight: 3
    - weight: 0.5
      weights: samples
      parts:
      - dataset: docvqa

Paths are relative to the file. A weight is 1 if nothing is said.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from nvlm.data.blend import COUNTED, ROOT, Blend, Folder, listed
from nvlm.data.prompts import STAGES, Stage

SETTINGS = ("weights", "stage", "root")
"""What a blend says of its parts."""
KINDS = {"path": ("weight",), "dataset": ("weight", "stage", "root"), "parts": ("weight", *SETTINGS)}
"""What a part is → what else may be said of it."""
SUFFIXES = (".yaml", ".yml")


def read_blend(path: Path, stage: Stage = "sft", root: str = ROOT) -> Blend:
    """The blend of a YAML file.

    Args:
        path: of the file.
        stage, root: where the file says nothing else.

    Raises:
        ValueError: the file is no blend, a name in it is misspelt (the nearest is offered), or a blend contains itself.
        OSError: the file cannot be read.
    """
    return _Reader((path,), stage, _beside(path, root)).read()


@dataclass(frozen=True)
class _Reader:
    """What holds where a part stands: the files that led here, the stage and the root."""

    files: tuple[Path, ...]
    stage: Stage
    root: str

    def read(self) -> Blend:
        path = self.files[-1]
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is not YAML: {error}") from error
        if not isinstance(values, Mapping) or "parts" not in values:
            raise ValueError(f"{path} is no blend: it has no `parts`")
        self._check_names(values, ("parts", *SETTINGS), "")
        return self.blend(values, "", 1.0)

    def blend(self, values: Mapping[str, Any], where: str, weight: float) -> Blend:
        parts = values["parts"]
        if not isinstance(parts, list) or not parts:
            raise self._error(f"{where}parts", "is not a list of folders and blends")
        inner = self._settings(values, where)
        weights = self._choice(values, "weights", COUNTED, COUNTED[0], where)
        made = tuple(inner.part(part, f"{where}parts[{number}]") for number, part in enumerate(parts))
        return Blend(made, weight, weights)

    def part(self, values: Any, where: str) -> Folder | Blend:
        kinds = [kind for kind in KINDS if isinstance(values, Mapping) and kind in values]
        if len(kinds) != 1:
            raise self._error(where, f"is one of {', '.join(f'`{kind}: …`' for kind in KINDS)}")
        where += "."
        self._check_names(values, (kinds[0], *KINDS[kinds[0]]), where)
        weight = self._weight(values, where)
        match kinds[0]:
            case "parts":
                return self.blend(values, where, weight)
            case "dataset":
                inner = self._settings(values, where)
                try:
                    return listed(str(values["dataset"]), inner.stage, inner.root, weight)
                except ValueError as error:
                    raise self._error(f"{where}dataset:", str(error)) from None
            case _:
                return self._path(str(values["path"]), weight, where)

    def _path(self, name: str, weight: float, where: str) -> Folder | Blend:
        address = _beside(self.files[-1], name)
        if not name.endswith(SUFFIXES):
            return Folder(address, weight)
        file = Path(address)
        if file.resolve() in [known.resolve() for known in self.files]:
            raise self._error(where + "path", f"{name} contains itself")
        return replace(replace(self, files=(*self.files, file)).read(), weight=weight)

    def _settings(self, values: Mapping[str, Any], where: str) -> "_Reader":
        """What holds inside."""
        stage = self._choice(values, "stage", STAGES, self.stage, where)
        root = _beside(self.files[-1], str(values["root"])) if "root" in values else self.root
        return replace(self, stage=stage, root=root)

    def _weight(self, values: Mapping[str, Any], where: str) -> float:
        weight = values.get("weight", 1.0)
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not weight > 0:
            raise self._error(where + "weight", f"is {weight!r}, not a number above 0")
        return float(weight)

    def _choice(self, values: Mapping[str, Any], name: str, known: tuple[Any, ...], default: Any, where: str) -> Any:
        value = values.get(name, default)
        if value not in known:
            raise self._error(where + name, f"is {value!r}; it must be {' or '.join(known)}")
        return value

    def _check_names(self, values: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
        for name in map(str, values):
            if name not in known:
                near = get_close_matches(name, known, 1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
                raise self._error(where + name, f"is not known: {hint}")

    def _error(self, where: str, what: str) -> ValueError:
        return ValueError(f"{self.files[-1]}: {where} {what}")


def _beside(file: Path, name: str) -> str:
    """A path relative to a file; addresses of object stores as they are."""
    return name if "://" in name else str(file.parent / name)
