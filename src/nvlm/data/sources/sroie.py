"""SROIE: scanned receipts with four key fields and their lines of text (Huang et al., 2019).

In ``train``: ``img/ID.jpg``, ``entities/ID.txt`` (a JSON object: company, date, address, total) and ``box/ID.txt`` (in
each line eight numbers, then the text).
"""

import json
from collections.abc import Iterator
from pathlib import Path

from nvlm.data import prompts
from nvlm.data.original import Original
from nvlm.data.reading import Row
from nvlm.data.sources.source import Source
from nvlm.data.sources.turns import dialogue

FIELDS = {
    "company": "What is the name of the company on the receipt?",
    "date": "What is the date on the receipt?",
    "address": "What is the address on the receipt?",
    "total": "What is the total?",
}
NUMBERS = 8


def rows(source: Source) -> Iterator[Row]:
    """The receipts of the training split, by name."""
    for path in source.find("img/*.jpg|train/img/*.jpg"):
        yield {"id": path.stem, "folder": path.parent.parent}


def sample(row: Row, source: Source) -> Original:
    """The fields that a receipt has, one question each, then all its text."""
    folder, id = row["folder"], row["id"]
    fields = json.loads((folder / "entities" / f"{id}.txt").read_text(encoding="utf-8"))
    turns = [
        (prompts.answer_from_text(question, source.stage, f"{id}/{field}"), fields[field])
        for field, question in FIELDS.items()
        if fields.get(field)
    ]
    turns.append((prompts.transcription(id), _text(folder / "box" / f"{id}.txt")))
    return Original(id, dialogue(turns), (folder / "img" / f"{id}.jpg",))


def _text(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(line.split(",", NUMBERS)[NUMBERS] for line in lines if line.count(",") >= NUMBERS)
