"""OCRBench: reading, questions about text, key fields, formulas (Liu et al., 2023)."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from nvlm.data.reading import Row, elements
from nvlm.evaluation.answers import WHOLE, said
from nvlm.evaluation.benchmark import Benchmark, Graded, Layout, Question
from nvlm.evaluation.reading import table

FORMULAS = "HME100k"
"""The set of handwritten formulas, where spaces and not case are ignored."""


def published(files: Sequence[Path]) -> Iterator[Row]:
    """``OCRBench.json`` with ``OCRBench_Images/`` beside it."""
    for number, row in enumerate(elements(files[0])):
        truths = [row["answers"]] if isinstance(row["answers"], str) else row["answers"]
        image = files[0].parent / "OCRBench_Images" / row["image_path"]
        yield {"id": str(number), "dataset": row["dataset_name"], "group": row["type"], "image": image} | {
            "question": row["question"],
            "answers": truths,
        }


def hub(files: Sequence[Path]) -> Iterator[Row]:
    """Columns dataset, question, question_type, answer, image."""
    for number, row in enumerate(table(files, ("image",))):
        yield row | {"id": str(number), "group": row["question_type"], "answers": row["answer"]}


def question(row: Row) -> Question:
    """A picture and the set's own question, without further instruction."""
    reference = {"answers": row["answers"], "formula": row["dataset"] == FORMULAS}
    return Question(row["id"], (row["image"], row["question"]), reference, (row["group"],))


def grade(answer: str, reference: Row) -> Graded:
    """Does the answer hold one of the truths?"""
    text = plain(answer, reference["formula"])
    right = any(plain(truth, reference["formula"]) in text for truth in reference["answers"])
    return Graded(float(right), said(answer))


def plain(text: str, formula: bool) -> str:
    """A formula without white space; other text in lower case, in one line."""
    text = text.strip().replace("\n", " ")
    return text.replace(" ", "") if formula else text.lower()


OCRBENCH = Benchmark(
    name="ocrbench",
    origin="https://github.com/Yuliang-Liu/MultimodalOCR with OCRBench_Images/, or echo840/OCRBench on the hub",
    licence="MIT; pictures under the terms of the 29 sets they come from",
    citation="Liu et al., OCRBench: On the Hidden Mystery of OCR in Large Multimodal Models, 2023",
    splits={"test": (Layout("OCRBench.json", published), Layout("data/test-*.parquet", hub))},
    question=question,
    grade=grade,
    extraction=WHOLE,
    metric="the answer holds a truth; 1,000 times the mean is the score usually given (Liu et al., 2023)",
    prompt="the set's own",
    max_new_tokens=128,
)
