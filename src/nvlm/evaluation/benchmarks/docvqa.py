"""DocVQA: questions about scanned pages (Mathew et al., 2021)."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from nvlm.data.reading import Row, elements
from nvlm.evaluation.answers import WHOLE, numbered, said
from nvlm.evaluation.benchmark import Benchmark, Graded, Layout, Question
from nvlm.evaluation.metrics import anls
from nvlm.evaluation.reading import table

INSTRUCTION = "Answer the question using a single word, phrase, or number."


def published(files: Sequence[Path]) -> Iterator[Row]:
    """``val_v1.0_withQT.json`` with its ``documents/`` beside it."""
    for row in elements(files[0], "data"):
        yield row | {"image": files[0].parent / row["image"]}


def hub(files: Sequence[Path]) -> Iterator[Row]:
    """The same names as columns, the page as a picture."""
    return table(files, ("image",))


def question(row: Row) -> Question:
    """A page and a question whose answer stands on it."""
    text = f"{row['question']}\n{INSTRUCTION}"
    return Question(
        str(row["questionId"]), (row["image"], text), row.get("answers"), tuple(row.get("question_types") or ())
    )


def grade(answer: str, truths: list[str] | None) -> Graded:
    """The best similarity to one of the answers."""
    return Graded(anls(answer, truths) if truths else None, said(answer))


DOCVQA = Benchmark(
    name="docvqa",
    origin="task 1 of https://rrc.cvc.uab.es/?ch=17 (annotations and documents/), or lmms-lab/DocVQA on the hub",
    licence="terms of the Robust Reading Competition; pages from the UCSF Industry Documents Library",
    citation="Mathew, Karatzas and Jawahar, DocVQA, WACV 2021",
    splits={
        "val": (
            Layout("val_v1.0*.json", published),
            Layout("val/val_v1.0*.json", published),
            Layout("DocVQA/validation-*.parquet", hub),
        ),
        "test": (
            Layout("test_v1.0*.json", published),
            Layout("test/test_v1.0*.json", published),
            Layout("DocVQA/test-*.parquet", hub),
        ),
    },
    question=question,
    grade=grade,
    extraction=WHOLE,
    metric="ANLS, threshold 0.5, best over the answers (Biten et al., 2019)",
    prompt="Megatron-LM, examples/multimodal",
    max_new_tokens=64,
    submission=numbered("questionId"),
)
