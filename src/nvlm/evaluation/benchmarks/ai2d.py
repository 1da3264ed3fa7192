"""AI2D: multiple choice about diagrams of grade-school science (Kembhavi et al., 2016), with and without masks.

In the masked set the texts in a diagram that are options of a question are covered by the options' letters, and the
options are letters; without masks the letters stand beside the texts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from nvlm.data.reading import Row, entries
from nvlm.evaluation.answers import LETTER, LETTER_INSTRUCTION, grade_letter, letters, option_lines
from nvlm.evaluation.benchmark import Benchmark, Graded, Layout, Question
from nvlm.evaluation.reading import table


def masked(files: Sequence[Path]) -> Iterator[Row]:
    """As ``published``, questions about labels with the pictures of ``abc_images/``."""
    return published(files, "abc_images")


def published(files: Sequence[Path], labelled: str = "images") -> Iterator[Row]:
    """``questions/NAME.json`` of the diagrams that ``ai2d_test_ids.csv`` names; ``images/NAME``."""
    root = files[0].parent
    for name in files[0].read_text(encoding="utf-8").split():
        file = root / "questions" / f"{name}.png.json"
        if not file.exists():
            continue  # some diagrams have no questions
        for text, row in dict(entries(file))["questions"].items():
            folder = labelled if row["abcLabel"] else "images"
            yield {"id": row["questionId"], "question": text, "options": row["answerTexts"]} | {
                "answer": row["correctAnswer"],
                "image": root / folder / f"{name}.png",
            }


def hub(files: Sequence[Path]) -> Iterator[Row]:
    """Columns question, options, answer (a number), image."""
    for number, row in enumerate(table(files, ("image",))):
        yield row | {"id": str(number)}


def question(row: Row) -> Question:
    """A diagram, a question and its options."""
    options = row["options"]
    text = f"{row['question']}\n{option_lines(options)}{LETTER_INSTRUCTION}"
    reference = {"answer": letters(len(options))[int(row["answer"])], "options": options}
    return Question(row["id"], (row["image"], text), reference)


def grade(answer: str, reference: Row) -> Graded:
    """The letter."""
    return grade_letter(answer, reference["answer"], reference["options"])


AI2D = Benchmark(
    name="ai2d",
    origin="lmms-lab/ai2d on the hub, or https://allenai.org/data/diagrams with abc_images/ of InternLM-XComposer",
    licence="in the archive's license.txt",
    citation="Kembhavi et al., A Diagram Is Worth A Dozen Images, ECCV 2016",
    splits={"test": (Layout("data/test-*.parquet", hub), Layout("ai2d_test_ids.csv", masked))},
    question=question,
    grade=grade,
    extraction=LETTER,
    metric="accuracy of the option's letter",
    prompt="VLMEvalKit's form, in which NVLM reports AI2D (paper, section 6.1)",
)
AI2D_NO_MASK = replace(
    AI2D,
    name="ai2d_no_mask",
    origin="lmms-lab/ai2d-no-mask on the hub, or https://allenai.org/data/diagrams",
    splits={"test": (Layout("data/test-*.parquet", hub), Layout("ai2d_test_ids.csv", published))},
)
