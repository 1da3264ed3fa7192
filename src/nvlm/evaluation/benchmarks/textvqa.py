"""TextVQA: questions about text in photographs (Singh et al., 2019)."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from nvlm.data.reading import Row, elements
from nvlm.evaluation.answers import WHOLE, numbered, said
from nvlm.evaluation.benchmark import Benchmark, Graded, Layout, Question
from nvlm.evaluation.metrics import vqa_accuracy
from nvlm.evaluation.reading import table

INSTRUCTION = "Answer the question using a single word, phrase, or number."


def published(files: Sequence[Path]) -> Iterator[Row]:
    """``TextVQA_0.5.1_val.json``; pictures in ``train_images/``, those of the test split in ``test_images/``."""
    folder = files[0].parent / ("test_images" if "test" in files[0].stem else "train_images")
    for row in elements(files[0], "data"):
        yield row | {"image": folder / f"{row['image_id']}.jpg"}


def hub(files: Sequence[Path]) -> Iterator[Row]:
    """The same names as columns, and the picture."""
    return table(files, ("image",))


def question(row: Row) -> Question:
    """A photograph and a question that takes reading."""
    text = f"{row['question']}\n{INSTRUCTION}"
    return Question(str(row["question_id"]), (row["image"], text), row.get("answers"))


def grade(answer: str, truths: list[str] | None) -> Graded:
    """VQA accuracy over ten people's answers."""
    known = bool(truths and any(truths))
    return Graded(vqa_accuracy(answer, truths or []) if known else None, said(answer))


TEXTVQA = Benchmark(
    name="textvqa",
    origin="https://textvqa.org/dataset (TextVQA_0.5.1_*.json and the pictures), or lmms-lab/textvqa on the hub",
    licence="CC BY 4.0; pictures from Open Images, CC BY 2.0",
    citation="Singh et al., Towards VQA Models That Can Read, CVPR 2019",
    splits={
        "val": (Layout("TextVQA_*_val.json", published), Layout("data/validation-*.parquet", hub)),
        "test": (Layout("TextVQA_*_test.json", published), Layout("data/test-*.parquet", hub)),
    },
    question=question,
    grade=grade,
    extraction=WHOLE,
    metric="VQA accuracy: min(matches / 3, 1), each of the people's answers left out once (Goyal et al., 2017)",
    prompt="Megatron-LM, examples/multimodal",
    submission=numbered("question_id"),
)
