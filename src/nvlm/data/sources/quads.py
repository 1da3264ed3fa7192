"""Text lines with four corners, as the reading competitions RRC-ArT, RRC-LSVT, ReCTs and RCTW keep them.

The option ``layout`` says which:

* ``whole`` – one JSON file ``{"gt_1": [{"transcription", "points": [[x, y], …], "illegibility"}]}`` (ArT, LSVT);
* ``pictures`` – a JSON file per picture, ``{"lines": [{"transcription", "points": [x, y, …], "ignore"}]}`` (ReCTs);
* ``text`` – a text file per picture, in each line eight numbers, a difficulty and the text in quotes (RCTW).

A region with more corners than four becomes the box around it.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from nvlm.data import prompts
from nvlm.data.original import Original
from nvlm.data.reading import Row, entries
from nvlm.data.sources.source import Source
from nvlm.data.sources.turns import ask
from nvlm.processing.images import read_header

UNREADABLE = ("", "###")
Line = tuple[str, list[tuple[float, float]]]


def rows(source: Source) -> Iterator[Row]:
    """The pictures, each with its lines of text."""
    layout, files = source.options["layout"], source.options["files"]
    if layout == "whole":
        for name, lines in entries(source.one(files)):
            yield {"id": name.replace("gt", "", 1).lstrip("_"), "lines": [_of_whole(line) for line in lines]}
        return
    for path in source.find(files):
        read = _of_picture if layout == "pictures" else _of_text
        yield {"id": path.stem.removeprefix("image_"), "lines": read(path)}


def sample(row: Row, source: Source) -> Original:
    """A picture with all its legible lines."""
    file = source.picture(source.options["picture"].format_map(row))
    header = read_header(file.read_bytes())
    pieces = [
        prompts.located(text, _region(points, header.width, header.height))
        for text, points in row["lines"]
        if text.strip() not in UNREADABLE
    ]
    if not pieces:
        raise ValueError("no line of the picture can be read")
    return Original(row["id"], ask(prompts.transcription(row["id"], boxes=True), "\n".join(pieces)), (file,))


def _region(points: list[tuple[float, float]], width: int, height: int) -> str:
    if len(points) == 4:
        return prompts.quad(points, width, height)
    across, down = zip(*points, strict=True)
    return prompts.box([min(across), min(down), max(across), max(down)], width, height)


def _of_whole(line: Row) -> Line:
    return ("" if line["illegibility"] else line["transcription"]), [(x, y) for x, y in line["points"]]


def _of_picture(path: Path) -> list[Line]:
    lines = json.loads(path.read_text(encoding="utf-8"))["lines"]
    return [("" if line["ignore"] else line["transcription"], _pairs(line["points"])) for line in lines]


def _of_text(path: Path) -> list[Line]:
    found = []
    for line in path.read_text(encoding="utf-8-sig").splitlines():
        *numbers, _, text = line.split(",", 9)
        found.append((text.strip().strip('"'), _pairs([float(number) for number in numbers])))
    return found


def _pairs(numbers: list[float]) -> list[tuple[float, float]]:
    return list(zip(numbers[::2], numbers[1::2], strict=True))
