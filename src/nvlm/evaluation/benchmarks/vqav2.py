"""VQA v2: questions about photographs (Goyal et al., 2017)."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from nvlm.data.reading import Row, elements
from nvlm.evaluation.answers import PHRASE_INSTRUCTION, WHOLE, numbered, said
from nvlm.evaluation.benchmark import Benchmark, Graded, Layout, Question
from nvlm.evaluation.metrics import vqa_accuracy
from nvlm.evaluation.reading import table

ANNOTATIONS = "v2_mscoco_val2014_annotations.json"


def published(files: Sequence[Path]) -> Iterator[Row]:
    """A file of questions; for the validation split the answers beside it, in the same order."""
    folder = files[0].parent
    pictures = "test2015" if "test" in files[0].stem else "val2014"
    truths = elements(folder / ANNOTATIONS, "annotations") if pictures == "val2014" else None
    for row in elements(files[0], "questions"):
        image = folder / pictures / f"COCO_{pictures}_{row['image_id']:012d}.jpg"
        yield row | (_truth(row, next(truths, {})) if truths else {}) | {"image": image}


def _truth(row: Row, truth: Row) -> Row:
    if truth.get("question_id") != row["question_id"]:
        raise ValueError(
            f"question {row['question_id']} stands where the annotations have {truth.get('question_id')}; "
            "are the two files of the same release?"
        )
    return {"answers": truth["answers"], "answer_type": truth["answer_type"]}


def hub(files: Sequence[Path]) -> Iterator[Row]:
    """The same names as columns, and the picture."""
    return table(files, ("image",))


def question(row: Row) -> Question:
    """A photograph and a question about it."""
    truths = [each["answer"] for each in row.get("answers") or ()]
    kind = (row["answer_type"],) if row.get("answer_type") else ()
    text = f"{row['question']}\n{PHRASE_INSTRUCTION}"
    return Question(str(row["question_id"]), (row["image"], text), truths or None, kind)


def grade(answer: str, truths: list[str] | None) -> Graded:
    """VQA accuracy over ten people's answers."""
    return Graded(vqa_accuracy(answer, truths) if truths else None, said(answer))


VQAV2 = Benchmark(
    name="vqav2",
    origin="https://visualqa.org/download.html (questions, annotations, COCO pictures), or lmms-lab/VQAv2 on the hub",
    licence="CC BY 4.0; photographs under the terms of Flickr",
    citation="Goyal et al., Making the V in VQA Matter, CVPR 2017",
    splits={
        "val": (
            Layout("v2_OpenEnded_mscoco_val2014_questions.json", published),
            Layout("data/validation-*.parquet", hub),
        ),
        "test-dev": (
            Layout("v2_OpenEnded_mscoco_test-dev2015_questions.json", published),
            Layout("data/testdev-*.parquet", hub),
        ),
    },
    question=question,
    grade=grade,
    extraction=WHOLE,
    metric="VQA accuracy: min(matches / 3, 1), each of the people's answers left out once (Goyal et al., 2017)",
    prompt="Megatron-LM, examples/multimodal",
    submission=numbered("question_id"),
)
