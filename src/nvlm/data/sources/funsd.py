"""FUNSD: noisy scanned forms (Jaume et al., 2019).

``training_data/annotations/ID.json``: ``{"form": [{"id", "text", "label", "box", "linking"}]}`` and
``training_data/images/ID.png``. Questions of a form that are linked to an answer are asked; then all text, with boxes.
"""

import json
from collections.abc import Iterator

from nvlm.data import prompts
from nvlm.data.original import Original
from nvlm.data.reading import Row
from nvlm.data.sources.source import Source
from nvlm.data.sources.turns import dialogue
from nvlm.processing.images import read_header

FOLDER = "training_data"


def rows(source: Source) -> Iterator[Row]:
    """The forms of the training split."""
    for path in source.find(f"{FOLDER}/annotations/*.json"):
        yield {"id": path.stem, **json.loads(path.read_text(encoding="utf-8"))}


def sample(row: Row, source: Source) -> Original:
    """A form's fields, one question each, then its text with boxes."""
    file = source.picture(f"{FOLDER}/images/{row['id']}.png")
    header = read_header(file.read_bytes())
    entities = {entity["id"]: entity for entity in row["form"]}
    turns = [
        (f'What stands beside "{entities[first]["text"]}"?', entities[second]["text"])
        for first, second in sorted({tuple(link) for entity in row["form"] for link in entity["linking"]})
        if (entities[first]["label"], entities[second]["label"]) == ("question", "answer") and entities[second]["text"]
    ]
    pieces = [
        prompts.located(entity["text"], prompts.box(entity["box"], header.width, header.height))
        for entity in row["form"]
        if entity["text"].strip()
    ]
    turns.append((prompts.transcription(row["id"], boxes=True), "\n".join(pieces)))
    return Original(row["id"], dialogue(turns), (file,))
