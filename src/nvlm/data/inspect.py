"""Samples as the model sees them, on one HTML page: tiles, tags, tokens, loss spans, and who reads which view."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nvlm.data.pages import open_template, png_uri
from nvlm.data.sample import Sample
from nvlm.modeling.views import Views
from nvlm.processing.inspection import Inspection, Token, inspect
from nvlm.processing.processor import NVLMProcessor
from nvlm.processing.tags import View
from nvlm.processing.tiling import Grid

Place = Literal["sequence", "memory"]
SHOWN = {"\n": "↵", " ": "␣", "": "␣"}
"""Tokens that would not be visible; a lone space decodes to nothing."""


@dataclass(frozen=True)
class Chip:
    """One token, or all slots of one view."""

    text: str
    kind: Literal["text", "tag", "slots"]
    supervised: bool
    detail: str


@dataclass(frozen=True)
class Stretch:
    """Neighbouring chips that read the same views; ``reads`` says for each view of the sample how, ``None`` if not."""

    reads: tuple[Place | None, ...]
    said: str
    chips: tuple[Chip, ...]


@dataclass(frozen=True)
class Panel:
    """One sample in one architecture."""

    name: str
    summary: str
    stretches: tuple[Stretch, ...]
    memory: tuple[str, ...]


@dataclass(frozen=True)
class ViewCard:
    """One view: its pixels, its tag, and where each architecture puts it."""

    label: str
    tag: str
    source: str
    places: tuple[tuple[str, Place], ...]


@dataclass(frozen=True)
class Picture:
    """One image of a sample with its grid and views; sizes in pixels."""

    source: str
    width: int
    height: int
    grid: Grid
    views: tuple[ViewCard, ...]


@dataclass(frozen=True)
class Card:
    """One sample on the page."""

    id: str
    task: str
    pictures: tuple[Picture, ...]
    labels: tuple[str, ...]
    panels: tuple[Panel, ...]


def render_page(samples: Sequence[Sample], processors: Mapping[str, NVLMProcessor], title: str) -> str:
    """One self-contained page.

    Args:
        samples: to show.
        processors: by the architecture's name; their image processors cut pictures alike.
        title: of the page.
    """
    cards = [show(sample, processors) for sample in samples]
    slots = next(iter(processors.values())).tokens_per_view
    page = open_template(__package__, "inspect.html.j2")
    return page.render(title=title, cards=cards, names=list(processors), slots=slots)


def show(sample: Sample, processors: Mapping[str, NVLMProcessor]) -> Card:
    """Everything about one sample that the page shows."""
    image_processor = next(iter(processors.values())).image_processor
    images = [image_processor.load(image) for image in sample.images]
    grids = [image_processor.grid(image) for image in images]
    seen = {name: inspect(processor, sample.messages, grids) for name, processor in processors.items()}
    views = next(iter(seen.values())).views
    labels = _labels(views)
    pictures, first = [], 0
    for image, grid, own in zip(images, grids, views, strict=True):
        cut = image_processor.views(image, grid)
        cards = tuple(_view_card(first + at, labels, view, cut[at], seen) for at, view in enumerate(own))
        pictures.append(Picture(png_uri(image), image.width, image.height, grid, cards))
        first += len(own)
    panels = tuple(_panel(name, found, labels, processors[name].tokens_per_view) for name, found in seen.items())
    return Card(sample.id, sample.task, tuple(pictures), labels, panels)


def _panel(name: str, seen: Inspection, labels: tuple[str, ...], slots: int) -> Panel:
    return Panel(name, _summary(seen, slots), tuple(_stretches(seen, labels)), tuple(_memory(seen, labels, slots)))


def _summary(seen: Inspection, slots: int) -> str:
    in_sequence = sum(token.slot_view is not None for token in seen.tokens)
    learned = sum(token.supervised for token in seen.tokens)
    words = f"{len(seen.tokens)} tokens: {in_sequence} image slots, {learned} supervised"
    if seen.memory_views:
        words += f"; memory: {len(seen.memory_views)} views × {slots} tokens"
    return words


def _stretches(seen: Inspection, labels: tuple[str, ...]) -> list[Stretch]:
    """Chips grouped by what they read. A view in the sequence is read, by self-attention, from its first slot on."""
    began = {view: place for place, view in reversed(list(enumerate(token.slot_view for token in seen.tokens)))}
    stretches = []
    places = [(place, token, _reads(place, token, began, len(labels))) for place, token in enumerate(seen.tokens)]
    for reads, group in groupby(places, key=lambda item: item[2]):
        tokens = [(place, token) for place, token, _ in group]
        stretches.append(Stretch(reads, _said(reads, labels), tuple(_chips(tokens, seen, labels))))
    return stretches


def _reads(place: int, token: Token, began: Mapping[int | None, int], views: int) -> tuple[Place | None, ...]:
    def how(view: int) -> Place | None:
        if view in token.readable:
            return "memory"
        return "sequence" if began.get(view, place + 1) <= place else None

    return tuple(how(view) for view in range(views))


def _chips(tokens: list[tuple[int, Token]], seen: Inspection, labels: tuple[str, ...]) -> list[Chip]:
    chips = []
    for view, group in groupby(tokens, key=lambda item: item[1].slot_view):
        members = list(group)
        if view is None:
            chips += [_chip(place, token) for place, token in members]
        else:
            first, last = members[0][0], members[-1][0]
            text = f"{len(members)} × image slot of {_name(view, seen, labels)}"
            chips.append(
                Chip(text, "slots", members[0][1].supervised, f"tokens {first} to {last} · id {members[0][1].id}")
            )
    return chips


def _chip(place: int, token: Token) -> Chip:
    kind: Literal["text", "tag"] = "text" if token.tag_view is None else "tag"
    return Chip(SHOWN.get(token.text, token.text), kind, token.supervised, f"token {place} · id {token.id}")


def _memory(seen: Inspection, labels: tuple[str, ...], slots: int) -> list[str]:
    """What stands in memory, in order: for H the tag before its view."""
    pairs = zip(seen.memory_views, seen.memory_tags, strict=True)
    return [
        f"tag {tag} + {slots} features" if tag else f"{slots} features of {_name(view, seen, labels)}"
        for view, tag in pairs
    ]


def _name(view: int, seen: Inspection, labels: tuple[str, ...]) -> str:
    """The view's tag, or its label where tags are off."""
    return [own.tag for image in seen.views for own in image][view] or labels[view]


def _labels(views: Sequence[tuple[View, ...]]) -> tuple[str, ...]:
    """Short names of views: the tile's number or T for the thumbnail, after the image's number if there are several."""
    labels = []
    for image, own in enumerate(views, 1):
        before = f"{image}." if len(views) > 1 else ""
        labels += [before + ("T" if view.kind == Views.THUMBNAIL else str(at)) for at, view in enumerate(own, 1)]
    return tuple(labels)


def _said(reads: tuple[Place | None, ...], labels: tuple[str, ...]) -> str:
    """Which views are read, in words.

    >>> _said(("memory", "memory", "sequence"), ("1", "2", "T"))
    'reads 1, 2 from memory and T in the sequence'
    >>> _said((None, None), ("1", "T"))
    'reads no view'
    """
    parts = []
    for place, words in (("memory", "from memory"), ("sequence", "in the sequence")):
        found = [label for label, how in zip(labels, reads, strict=True) if how == place]
        if found:
            parts.append(f"{', '.join(found)} {words}")
    return f"reads {' and '.join(parts)}" if parts else "reads no view"


def _view_card(
    number: int, labels: tuple[str, ...], view: View, pixels: NDArray[np.uint8], seen: Mapping[str, Inspection]
) -> ViewCard:
    def place(found: Inspection) -> Place:
        return "sequence" if number in found.sequence_views else "memory"

    places = tuple((name, place(found)) for name, found in seen.items())
    return ViewCard(labels[number], view.tag, png_uri(Image.fromarray(pixels)), places)
