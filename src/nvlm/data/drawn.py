"""Shards of samples that are drawn here, by their number, rather than prepared from a dataset's files."""

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from nvlm.data.energon import write_metadata
from nvlm.data.pictures import check_picture
from nvlm.data.prepared import Prepared, read_prepared, write_prepared
from nvlm.data.progress import Progress
from nvlm.data.shards import ShardWriter, shard_name

Draw = Callable[[int], tuple[Mapping[str, Any], Sequence[Image.Image]]]
"""The number of a sample → its fields (id, source, task, messages, and what else is to be kept) and its pictures."""

PER_SHARD = 500


def draw_shards(folder: Path, settings: Mapping[str, Any], count: int, draw: Draw, title: str) -> Path:
    """Draw samples 0 to ``count`` - 1 into ``folder``; what is there, of an interrupted run too, is kept.

    Args:
        settings: all that the samples depend on but their number, as JSON values.
        title: of the status line.

    Raises:
        ValueError: the folder holds samples of other settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = read_prepared(folder) or Prepared(dict(settings))
    if state.settings != settings:
        raise ValueError(f"{folder} holds samples of {state.settings}, and not of {settings}; choose another folder")
    progress = Progress(title, count, state.rows)
    try:
        while state.rows < count:
            first, last = state.rows, min(count, state.rows + PER_SHARD)
            path = folder / shard_name(len(state.shards))
            state.shards[path.name] = _write_shard(path, first, last, draw, progress)
            state.rows, state.complete = last, False
            write_prepared(folder, state)
    finally:
        progress.close()
    if not state.complete:
        write_metadata(folder, state.shards)
        state.complete = True
        write_prepared(folder, state)
    return folder


def _write_shard(path: Path, first: int, last: int, draw: Draw, progress: Progress) -> int:
    """Draw one shard, whole or not at all; how many samples it has."""
    writer = ShardWriter(path)
    try:
        for number in range(first, last):
            fields, images = draw(number)
            writer.add(number, fields, [check_picture(_png(image)) for image in images])
            progress.update(number + 1)
    except BaseException:
        writer.discard()
        raise
    writer.finish()
    return len(writer)


def _png(image: Image.Image) -> bytes:
    written = io.BytesIO()
    image.save(written, format="PNG")
    return written.getvalue()
