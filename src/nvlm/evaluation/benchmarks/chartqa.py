"""ChartQA: questions about charts, by people and by a machine (Masry et al., 2022)."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from nvlm.data.reading import Row, elements
from nvlm.evaluation.answers import PHRASE_INSTRUCTION, WHOLE, said
from nvlm.evaluation.benchmark import Benchmark, Graded, Layout, Question
from nvlm.evaluation.metrics import relaxed_match
from nvlm.evaluation.reading import table


def published(files: Sequence[Path]) -> Iterator[Row]:
    """``test_human.json`` and ``test_augmented.json``, the charts beside them in ``png/``."""
    for file in files:
        kind = file.stem.split("_")[1]
        for number, row in enumerate(elements(file)):
            picture = file.parent / "png" / row["imgname"]
            yield {"id": f"{kind}/{number}", "group": kind, "image": picture, "question": row["query"]} | {
                "answer": row["label"]
            }


def hub(files: Sequence[Path]) -> Iterator[Row]:
    """Columns type, question, answer, image."""
    for number, row in enumerate(table(files, ("image",))):
        yield row | {"id": str(number), "group": row["type"].split("_")[0]}


def question(row: Row) -> Question:
    """A chart and a question that one word, phrase or number answers."""
    text = f"{row['question']}\n{PHRASE_INSTRUCTION}"
    return Question(row["id"], (row["image"], text), row["answer"], (row["group"],))


def grade(answer: str, truth: str) -> Graded:
    """Numbers may be off by 5 %."""
    return Graded(float(relaxed_match(answer, truth)), said(answer))


CHARTQA = Benchmark(
    name="chartqa",
    origin="https://github.com/vis-nlp/ChartQA (ChartQA Dataset/), or lmms-lab/ChartQA on the hub",
    licence="GPL-3.0",
    citation="Masry et al., ChartQA, Findings of ACL 2022",
    splits={
        "test": (Layout("test/test_*.json", published), Layout("data/test-*.parquet", hub)),
        "val": (Layout("val/val_*.json", published),),
    },
    question=question,
    grade=grade,
    extraction=WHOLE,
    metric="relaxed accuracy: numbers to 5 %, else exact (Masry et al., 2022, section 5)",
    prompt="Megatron-LM, examples/multimodal",
)
