"""A folder of pictures, each with its caption beside it: ``cat.jpg`` and ``cat.txt``, at any depth."""

from collections.abc import Iterator
from pathlib import Path

from nvlm.data import prompts
from nvlm.data.original import Original
from nvlm.data.reading import Row
from nvlm.data.sources.source import Source
from nvlm.data.sources.turns import ask

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")


def rows(source: Source) -> Iterator[Row]:
    """The pictures, in order of their folders and names.

    Raises:
        ValueError: there is none.
    """
    found = False
    for path in _pictures(source.folder):
        found = True
        yield {"path": path}
    if not found:
        raise ValueError(f"{source.folder} has no pictures ({', '.join(ENDINGS)})")


def sample(row: Row, source: Source) -> Original:
    """A picture with its caption."""
    path: Path = row["path"]
    beside = path.with_suffix(".txt")
    if not beside.is_file():
        raise ValueError(f"there is no {beside.name} with its caption")
    id = path.relative_to(source.folder).as_posix()
    text = beside.read_text(encoding="utf-8").strip()
    return Original(id, ask(prompts.caption(source.stage, id), text), (path,))


def _pictures(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            yield from _pictures(path)
        elif path.suffix.lower() in ENDINGS:
            yield path
