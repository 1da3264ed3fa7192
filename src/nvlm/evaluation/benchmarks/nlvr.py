"""NLVR: is a sentence true of a drawn scene? (Suhr et al., 2017)."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from nvlm.data.reading import Row
from nvlm.evaluation.benchmark import Benchmark, Graded, Layout, Question
from nvlm.evaluation.reading import lines

INSTRUCTION = "Is this true or false? Answer with true or false."
_VERDICT = re.compile(r"\b(true|false|yes|no)\b", re.IGNORECASE)


def published(files: Sequence[Path]) -> Iterator[Row]:
    """``dev/dev.json``, one object in a line; the first of the six orders of its boxes is shown."""
    split = files[0].stem
    for row in lines(files[0]):
        name = f"{split}-{row['identifier']}-0.png"
        image = files[0].parent / "images" / str(row["directory"]) / name
        yield {"id": row["identifier"], "sentence": row["sentence"], "label": row["label"], "image": image}


def plain(files: Sequence[Path]) -> Iterator[Row]:
    """``statements.jsonl``: id, sentence, label, and image, a path beside it."""
    for row in lines(files[0]):
        yield row | {"image": files[0].parent / row["image"]}


def question(row: Row) -> Question:
    """A scene and a sentence."""
    text = f"{row['sentence']}\n{INSTRUCTION}"
    return Question(row["id"], (row["image"], text), str(row["label"]).lower(), (str(row["label"]).lower(),))


def grade(answer: str, truth: str) -> Graded:
    """The first word of truth in the answer."""
    found = _VERDICT.search(answer)
    verdict = {"yes": "true", "no": "false"}.get(found[0].lower(), found[0].lower()) if found else None
    return Graded(float(verdict == truth), verdict)


NLVR = Benchmark(
    name="nlvr",
    origin="https://github.com/lil-lab/nlvr, nlvr/",
    licence="CC BY 4.0",
    citation="Suhr et al., A Corpus of Natural Language for Visual Reasoning, ACL 2017",
    splits={
        "dev": (Layout("dev/dev.json", published), Layout("statements.jsonl", plain)),
        "test": (Layout("test/test.json", published),),
    },
    question=question,
    grade=grade,
    extraction="the first true, false, yes or no",
    metric="accuracy of true or false",
    prompt="ours",
    max_new_tokens=8,
)
