"""What of a conversion is finished: a file in the target folder for as long as the conversion is not."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

__all__ = ["STATE", "ConversionState", "digest"]

STATE = "unfinished-conversion.json"


class ConversionState:
    """The finished files of a conversion with their hashes.

    Args:
        folder: the target.
        identity: of source and settings.
        finished: file → SHA-256.
    """

    def __init__(self, folder: Path, identity: dict[str, Any], finished: dict[str, str]) -> None:
        self._path, self._identity, self.finished = folder / STATE, identity, finished

    @classmethod
    def open(cls, folder: Path, identity: dict[str, Any]) -> Self:
        """Begin in a folder that is empty or not there yet, or go on where the same conversion was interrupted.

        Raises:
            ValueError: the folder holds something else.
        """
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"{folder} is a file, but a checkpoint is a folder")
        path = folder / STATE
        if path.is_file():
            finished = _read(path, identity)
            for unfinished in folder.glob("*.part"):
                unfinished.unlink()
            return cls(folder, identity, finished)
        _check_empty(folder, besides=_beside(path).name)
        folder.mkdir(parents=True, exist_ok=True)
        state = cls(folder, identity, {})
        state._write()
        return state

    def check(self, report: Callable[[int, int], None]) -> int:
        """Read the finished files, and forget those that are not what was written; how many are left."""
        sizes = {file: _size(self._path.with_name(file)) for file in self.finished}
        done, total = 0, sum(sizes.values())
        for file, size in sizes.items():
            report(done, total)
            path = self._path.with_name(file)
            if not path.is_file() or digest(path) != self.finished[file]:
                self.forget(file)
            done += size
        if sizes:
            report(total, total)
        return len(self.finished)

    def finish(self, file: str, sha256: str) -> None:
        """Note a file as finished."""
        self.finished[file] = sha256
        self._write()

    def forget(self, file: str) -> None:
        """Note that a file has to be written anew."""
        del self.finished[file]
        self._write()

    def close(self) -> None:
        """The conversion is finished: the folder holds a checkpoint and nothing else."""
        self._path.unlink()

    def _write(self) -> None:
        beside = _beside(self._path)
        try:
            beside.write_text(
                json.dumps({**self._identity, "finished": self.finished}, indent=2) + "\n", encoding="utf-8"
            )
            beside.replace(self._path)
        finally:
            beside.unlink(missing_ok=True)


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_empty(folder: Path, besides: str) -> None:
    found = sorted(entry.name for entry in folder.iterdir() if entry.name != besides) if folder.is_dir() else []
    if found:
        more = " and more" if len(found) > 1 else ""
        raise ValueError(
            f"{folder} is not empty (it holds {found[0]}{more}), and there is no interrupted conversion in it to go on "
            "with; name a folder that is empty or does not exist yet"
        )


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _read(path: Path, identity: dict[str, Any]) -> dict[str, str]:
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        finished = {str(file): str(sha256) for file, sha256 in state.pop("finished").items()}
    except (ValueError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} is no readable JSON; delete the folder {path.parent} and begin again") from error
    if state != identity:
        changed = [name for name in identity if state.get(name) != identity[name]]
        raise ValueError(
            f"{path.parent} holds an interrupted conversion with another {' and '.join(changed)} (or the source has "
            "changed since); delete that folder, or name another one"
        )
    return finished
