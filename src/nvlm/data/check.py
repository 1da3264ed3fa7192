"""Training shards against evaluation sets: which samples are in both, and what is left out because of it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml  # type: ignore[import-untyped]
from PIL import Image

from nvlm.data.contamination import Alike, Looks, Runs, Shared
from nvlm.data.energon import write_excluded, write_metadata
from nvlm.data.evaluation_files import read_items, strings
from nvlm.data.prepared import read_prepared
from nvlm.data.progress import Progress
from nvlm.data.sample import Sample
from nvlm.data.shards import PATTERN, read_shards
from nvlm.processing.images import ImageError, load_image


class Evaluation(NamedTuple):
    """What is looked for: texts and pictures of all evaluation sets, and how many items each set has."""

    runs: Runs
    looks: Looks
    items: dict[str, int]


@dataclass(frozen=True)
class Finding:
    """A training sample that is also in an evaluation set.

    Attributes:
        folder, place: where the sample is: ``SHARD/KEY`` in the folder.
        id: of the sample.
        kind: what is shared.
        item: the evaluation item.
        detail: the shared words and their share, or how many bits of the pictures' hashes differ.
    """

    folder: str
    place: str
    id: str
    kind: Literal["text", "picture"]
    item: str
    detail: str


def read_evaluation(paths: Sequence[Path]) -> Evaluation:
    """Everything in the evaluation sets.

    Raises:
        ValueError: a path has no items.
    """
    evaluation = Evaluation(Runs(), Looks(), {})
    for path in paths:
        progress, number = Progress(path.name, None), 0
        for item in read_items(path):
            evaluation.runs.add(item.name, item.texts)
            for image in item.pictures:
                evaluation.looks.add(item.name, image)
            number += 1
            progress.update(number)
        evaluation.items[str(path)] = number
        progress.close()
    return evaluation


def shard_folders(paths: Iterable[Path]) -> list[Path]:
    """The folders of shards that a command line names: folders, and blends (YAML files with ``path``s in them).

    Raises:
        ValueError: a path is neither, or a folder has no shards.
    """
    folders = [folder for path in paths for folder in ([path] if path.is_dir() else _blended(path))]
    for folder in folders:
        if not any(folder.glob(PATTERN)):
            raise ValueError(f"{folder} has no shards; is it a folder that `nvlm data prepare` wrote?")
    return list(dict.fromkeys(folders))


def _blended(path: Path) -> Iterator[Path]:
    """The folders that a blend names, and those of blends that it names."""
    if path.suffix not in (".yaml", ".yml"):
        raise ValueError(f"{path} is neither a folder of shards nor a blend (.yaml)")
    try:
        blend = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no readable YAML: {error}") from error
    for name in _paths(blend):
        inner = path.parent / name
        yield from _blended(inner) if inner.suffix in (".yaml", ".yml") else [inner]


def _paths(blend: Any) -> Iterator[str]:
    if isinstance(blend, dict):
        for key, value in blend.items():
            if key == "path" and isinstance(value, str):
                yield value
            else:
                yield from _paths(value)
    elif isinstance(blend, list):
        for value in blend:
            yield from _paths(value)


def findings(folder: Path, evaluation: Evaluation) -> Iterator[Finding | None]:
    """What is found in each sample of a folder: a finding for its text, one for a picture, ``None`` for neither."""
    for place, sample in read_shards(folder):
        text, picture = _text(sample, evaluation.runs), _picture(sample, evaluation.looks)
        if text is not None:
            detail = f"{text.share:.0%} of its runs, as: {text.words}"
            yield Finding(str(folder), place, sample.id, "text", text.item, detail)
        if picture is not None:
            detail = f"{picture.distance} of 256 bits differ"
            yield Finding(str(folder), place, sample.id, "picture", picture.item, detail)
        if text is None and picture is None:
            yield None


def exclude(folder: Path, places: Iterable[str]) -> None:
    """Leave samples out of a folder, for every reader of it.

    Raises:
        ValueError: the folder was not prepared to its end.
    """
    prepared = read_prepared(folder)
    if prepared is None or not prepared.complete:
        raise ValueError(f"{folder} is not prepared to its end; run `nvlm data prepare` again first")
    write_excluded(folder, places)
    write_metadata(folder, prepared.shards)


def _text(sample: Sample, runs: Runs) -> Shared | None:
    """Of a sample's texts, what the one that shares most shares."""
    shared = [found for text in strings(sample.messages) if (found := runs.find(text))]
    return max(shared, key=lambda found: found.share, default=None)


def _picture(sample: Sample, looks: Looks) -> Alike | None:
    """Of a sample's pictures, what the one that is most like another is like."""
    alike = [found for image in sample.images if (found := _find(image, looks))]
    return min(alike, key=lambda found: found.distance, default=None)


def _find(image: Image.Image, looks: Looks) -> Alike | None:
    try:
        return looks.find(load_image(image))
    except ImageError:  # training will list it; nobody learns from it
        return None
