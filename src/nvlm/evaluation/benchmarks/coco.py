"""COCO captions: one sentence about a photograph (Chen et al., 2015), as the released evaluation code asks for it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nvlm.data.reading import Row, elements
from nvlm.evaluation.answers import WHOLE, said
from nvlm.evaluation.benchmark import Benchmark, Graded, Layout, Question
from nvlm.evaluation.cider import cider
from nvlm.evaluation.reading import lines

PROMPT = "Give a brief description of this image in one sentence."


def karpathy(files: Sequence[Path]) -> Iterator[Row]:
    """``coco_karpathy_test.json``: a list of pictures with their captions; the pictures below the same folder."""
    for row in elements(files[0]):
        yield {"id": Path(row["image"]).stem, "image": files[0].parent / row["image"], "captions": row["caption"]}


def official(files: Sequence[Path]) -> Iterator[Row]:
    """``annotations/captions_val2014.json``: pictures in one list, captions in another; ``val2014/`` beside."""
    told: dict[int, list[str]] = {}
    for each in elements(files[0], "annotations"):
        told.setdefault(each["image_id"], []).append(each["caption"])
    folder = files[0].parents[1] / files[0].stem.split("_")[1]
    for row in elements(files[0], "images"):
        yield {"id": str(row["id"]), "image": folder / row["file_name"], "captions": told[row["id"]]}


def plain(files: Sequence[Path]) -> Iterator[Row]:
    """``captions.jsonl``: id, image (a path beside it) and captions."""
    for row in lines(files[0]):
        yield row | {"id": str(row["id"]), "image": files[0].parent / row["image"]}


def question(row: Row) -> Question:
    """A photograph and the request."""
    return Question(row["id"], (row["image"], PROMPT), row["captions"])


def grade(answer: str, captions: list[str]) -> Graded:
    """Scored when all answers are there: an n-gram's weight depends on every reference."""
    return Graded(None, said(answer.rstrip(".").lower()))


def together(pairs: Sequence[tuple[str, Any]]) -> list[float]:
    """CIDEr of each caption."""
    return cider([answer for answer, _ in pairs], [captions for _, captions in pairs])


COCO = Benchmark(
    name="coco",
    origin="https://cocodataset.org (2014 pictures) and coco_karpathy_test.json of "
    "https://storage.googleapis.com/sfr-vision-language-research/datasets",
    licence="captions CC BY 4.0; photographs under the terms of Flickr",
    citation="Chen et al., Microsoft COCO Captions, 2015; split of Karpathy and Fei-Fei, 2015",
    splits={
        "test": (
            Layout("coco_karpathy_test.json", karpathy),
            Layout("annotations/captions_val*.json", official),
            Layout("captions.jsonl", plain),
        ),
    },
    question=question,
    grade=grade,
    extraction=WHOLE,
    metric="CIDEr-D, here between 0 and 10 (Vedantam et al., 2015); shown times 100 as usual",
    prompt="Megatron-LM, examples/multimodal",
    system="Answer the questions.",
    max_new_tokens=64,
    corpus=together,
)
