"""SROIE: key fields of scanned receipts (Huang et al., 2019, task 3), each asked for by itself."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from nvlm.data.reading import Row
from nvlm.evaluation.answers import WHOLE, said
from nvlm.evaluation.benchmark import Benchmark, Graded, Layout, Question
from nvlm.evaluation.reading import lines

ASKED = {
    "company": "Which company issued this receipt?",
    "date": "What is the date of this receipt?",
    "address": "What is the address of the company on this receipt?",
    "total": "What is the total amount of this receipt?",
}
INSTRUCTION = "Copy it as it is printed."


def published(files: Sequence[Path]) -> Iterator[Row]:
    """``key/NAME.json`` (or ``.txt``) with the fields, the receipt in ``img/NAME.jpg``."""
    for file in files:
        fields = json.loads(file.read_text(encoding="utf-8"))
        yield from _rows(file.stem, file.parents[1] / "img" / f"{file.stem}.jpg", fields)


def plain(files: Sequence[Path]) -> Iterator[Row]:
    """``receipts.jsonl``: id, image (a path beside it) and fields."""
    for row in lines(files[0]):
        yield from _rows(row["id"], files[0].parent / row["image"], row["fields"])


def _rows(id: str, image: Path, fields: dict[str, str]) -> Iterator[Row]:
    for field in ASKED:
        if fields.get(field):
            yield {"id": f"{id}/{field}", "image": image, "field": field, "value": fields[field]}


def question(row: Row) -> Question:
    """A receipt and one field."""
    text = f"{ASKED[row['field']]}\n{INSTRUCTION}"
    return Question(row["id"], (row["image"], text), row["value"], (row["field"],))


def grade(answer: str, truth: str) -> Graded:
    """The same characters, but for white space."""
    return Graded(float(" ".join(answer.split()) == " ".join(truth.split())), said(answer))


SROIE = Benchmark(
    name="sroie",
    origin="https://rrc.cvc.uab.es/?ch=13, or https://github.com/zzzDavid/ICDAR-2019-SROIE, data/",
    licence="research only",
    citation="Huang et al., ICDAR 2019 Competition on Scanned Receipt OCR and Information Extraction",
    splits={
        "train": (
            Layout("key/*.json", published),
            Layout("key/*.txt", published),
            Layout("receipts.jsonl", plain),
        ),
    },
    question=question,
    grade=grade,
    extraction=WHOLE,
    metric="exact match of a field; with each field asked once this is the competition's F1",
    prompt="ours",
    max_new_tokens=96,
)
