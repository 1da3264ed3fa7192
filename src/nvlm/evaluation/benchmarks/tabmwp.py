"""TabMWP: word problems about a table that is shown as a picture (Lu et al., 2023)."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from nvlm.data.reading import Row, entries
from nvlm.evaluation.answers import (
    LETTER,
    LETTER_INSTRUCTION,
    PHRASE_INSTRUCTION,
    WHOLE,
    grade_letter,
    letters,
    option_lines,
    said,
)
from nvlm.evaluation.benchmark import Benchmark, Graded, Layout, Question
from nvlm.evaluation.reading import lines

_FRACTION = re.compile(r"[-+]?[\d,.]+/[\d,.]+")


def published(files: Sequence[Path]) -> Iterator[Row]:
    """``problems_dev1k.json``: problems by number, their tables in ``tables/``."""
    for pid, row in entries(files[0]):
        yield row | {"id": pid, "image": files[0].parent / "tables" / f"{pid}.png"}


def plain(files: Sequence[Path]) -> Iterator[Row]:
    """``questions.jsonl``: the same names, and image, a path beside it."""
    for row in lines(files[0]):
        yield row | {"image": files[0].parent / row["image"]}


def question(row: Row) -> Question:
    """A table, a question, its unit or its options."""
    options = row["choices"] or []
    unit = f" (Unit: {row['unit']})" if row["unit"] else ""
    end = f"{option_lines(options)}{LETTER_INSTRUCTION}" if options else PHRASE_INSTRUCTION
    answer = letters(len(options))[options.index(row["answer"])] if options else row["answer"]
    reference = {"answer": answer, "options": options, "unit": row["unit"]}
    return Question(row["id"], (row["image"], f"{row['question']}{unit}\n{end}"), reference, (row["ans_type"],))


def grade(answer: str, reference: Row) -> Graded:
    """The letter, or the same number or text."""
    if reference["options"]:
        return grade_letter(answer, reference["answer"], reference["options"])
    right = normalise(answer, reference["unit"]) == normalise(reference["answer"], reference["unit"])
    return Graded(float(right), said(answer))


def normalise(text: str, unit: str | None) -> str:
    """A number to three decimals, also of a fraction, without commas and a dollar sign; else the text without its unit.

    >>> normalise("$1,040.50", None), normalise("3/4", None), normalise("12 cups.", "cups")
    ('1040.5', '0.75', '12')
    """
    text = text.strip().removesuffix(".").removeprefix("$")
    text = text.replace(unit, "").strip() if unit else text
    number = text.replace(",", "")
    try:
        if _FRACTION.fullmatch(text):
            over, under = number.split("/")
            number = str(float(over) / float(under))
        return f"{float(number):.3f}".rstrip("0").rstrip(".")
    except (ValueError, ZeroDivisionError):
        return text


TABMWP = Benchmark(
    name="tabmwp",
    origin="https://github.com/lupantech/PromptPG, data/tabmwp",
    licence="CC BY-NC-SA 4.0",
    citation="Lu et al., Dynamic Prompt Learning for Semi-structured Mathematical Reasoning, ICLR 2023",
    splits={
        "dev1k": (Layout("problems_dev1k.json", published), Layout("questions.jsonl", plain)),
        "test1k": (Layout("problems_test1k.json", published),),
        "test": (Layout("problems_test.json", published),),
    },
    question=question,
    grade=grade,
    extraction=f"{LETTER}; of a question without options {WHOLE}",
    metric="accuracy: the option's letter, or the same number to three decimals (Lu et al., 2023)",
    prompt="ours, with NVLM's instructions",
    max_new_tokens=32,
)
