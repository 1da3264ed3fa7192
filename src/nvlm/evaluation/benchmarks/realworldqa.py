"""RealWorldQA: spatial questions about photographs, many taken from vehicles (xAI, 2024)."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from nvlm.data.reading import Row, elements
from nvlm.evaluation.answers import LETTER, LETTER_INSTRUCTION, PHRASE_INSTRUCTION, WHOLE, grade_letter, said
from nvlm.evaluation.benchmark import Benchmark, Graded, Layout, Question
from nvlm.evaluation.metrics import vqa_normalise
from nvlm.evaluation.reading import table

_INSTRUCTION = re.compile(r"\s*Please answer directly with [^\n]*$")
_OPTION = re.compile(r"^([A-Z])\. (.*)$", re.MULTILINE)


def published(files: Sequence[Path]) -> Iterator[Row]:
    """``annotations.json`` with the pictures beside it, or in ``images/``."""
    root = files[0].parent
    folder = root / "images" if (root / "images").is_dir() else root
    for row in elements(files[0]):
        yield row | {"id": Path(row["image"]).stem, "image": folder / Path(row["image"]).name}


def hub(files: Sequence[Path]) -> Iterator[Row]:
    """Columns question, answer, image."""
    for number, row in enumerate(table(files, ("image",))):
        yield row | {"id": str(number)}


def question(row: Row) -> Question:
    """A photograph and a question; NVLM's instruction in place of the set's own."""
    text = _INSTRUCTION.sub("", row["question"].strip())
    options = [option.strip() for _, option in _OPTION.findall(text)]
    instruction = LETTER_INSTRUCTION if options else PHRASE_INSTRUCTION
    reference = {"answer": row["answer"].strip(), "options": options}
    group = "options" if options else "open"
    return Question(row["id"], (row["image"], f"{text}\n{instruction}"), reference, (group,))


def grade(answer: str, reference: Row) -> Graded:
    """The letter, or the same phrase."""
    if reference["options"]:
        return grade_letter(answer, reference["answer"], reference["options"])
    return Graded(float(vqa_normalise(answer) == vqa_normalise(reference["answer"])), said(answer))


REALWORLDQA = Benchmark(
    name="realworldqa",
    origin="realworldqa.zip of https://x.ai/news/grok-1.5v, or xai-org/RealworldQA on the hub",
    licence="CC BY-ND 4.0",
    citation="xAI, Grok-1.5 Vision Preview, 2024",
    splits={"test": (Layout("annotations.json", published), Layout("data/test-*.parquet", hub))},
    question=question,
    grade=grade,
    extraction=f"{LETTER}; of a question without options {WHOLE}",
    metric="exact match: of the option's letter, else of the normalised phrase",
    prompt="Megatron-LM, examples/multimodal",
)
