"""What a converter is given, and what it is: two functions in a module of their own."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from nvlm.data.original import Original
from nvlm.data.prompts import Stage
from nvlm.data.reading import Row

KINDS = (
    "data-*.arrow|train/data-*.arrow",  # a Hugging Face dataset after `save_to_disk`
    "train-*.parquet|data/train-*.parquet|train/*.parquet",  # one as downloaded: not its other splits
    "*.parquet",
    "*.jsonl|*.jsonl.gz",
    "*.json|*.json.gz",
)
"""Where rows lie in a folder; of the first kind that is there."""


@dataclass(frozen=True)
class Source:
    """Original files of one dataset, and what they are to become.

    Attributes:
        name: of the dataset; ids begin with it.
        folder: where its files lie.
        stage: for which stage the prompts are worded.
        options: what the manifest says to the converter: file patterns, names of fields.
        images: where the pictures lie, if not in ``folder``.
    """

    name: str
    folder: Path
    stage: Stage = "sft"
    options: Mapping[str, str] = field(default_factory=dict)
    images: Path | None = None

    def find(self, pattern: str) -> list[Path]:
        """Files below the folder (or the folder itself, if it is a file), in order of their names.

        Raises:
            ValueError: there is none.
        """
        if self.folder.is_file():
            return [self.folder]
        if not self.folder.is_dir():
            raise ValueError(f"{self.folder} does not exist")
        found = sorted(path for each in pattern.split("|") for path in self.folder.glob(each) if path.is_file())
        if not found:
            raise ValueError(f"{self.folder} has no file {' or '.join(pattern.split('|'))}, which {self.name} needs")
        return found

    def data_files(self) -> list[Path]:
        """The files that the option ``files`` names, or else of the first of ``KINDS`` that the folder has.

        Raises:
            ValueError: there is none.
        """
        if "files" in self.options or self.folder.is_file():
            return self.find(self.options.get("files", ""))
        there = next((kind for kind in KINDS if any(any(self.folder.glob(each)) for each in kind.split("|"))), None)
        return self.find(there or "|".join(KINDS))

    def one(self, pattern: str) -> Path:
        """The one file of a pattern.

        Raises:
            ValueError: there is none, or several.
        """
        found = self.find(pattern)
        if len(found) > 1:
            raise ValueError(
                f"{self.folder} has {len(found)} files {pattern}, but {self.name} is made of one; "
                f"the first are {', '.join(path.name for path in found[:3])}"
            )
        return found[0]

    def picture(self, name: str) -> Path:
        """The path of a picture that a row names.

        Raises:
            ValueError: the name leads out of the folder.
        """
        parts = PurePosixPath(name.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or not parts.parts:
            raise ValueError(f"the picture {name!r} is not below the dataset's folder")
        base = self.images or (self.folder.parent if self.folder.is_file() else self.folder)
        return base / parts


class Family(Protocol):
    """A converter: a module with these two functions.

    ``rows`` goes through the files in an order that is always the same, and gives an error in place of a row that
    cannot be read. ``sample`` may raise ``ValueError``, ``KeyError``, ``TypeError`` or ``IndexError`` for a row that is
    not as it should be.
    """

    def rows(self, source: Source) -> Iterator[Row | ValueError]: ...

    def sample(self, row: Row, source: Source) -> Original: ...
