"""MMMU: college questions of thirty subjects, some with several pictures (Yue et al., 2024)."""

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from nvlm.data.reading import Row
from nvlm.evaluation.answers import (
    LETTER,
    LETTER_INSTRUCTION,
    PHRASE_INSTRUCTION,
    comparable,
    grade_letter,
    option_lines,
    readings,
    said,
)
from nvlm.evaluation.benchmark import Benchmark, Graded, Layout, Question
from nvlm.evaluation.reading import Picture, table

PICTURES = tuple(f"image_{number}" for number in range(1, 8))
DOMAINS = {
    "Art and Design": ("Art", "Art_Theory", "Design", "Music"),
    "Business": ("Accounting", "Economics", "Finance", "Manage", "Marketing"),
    "Science": ("Biology", "Chemistry", "Geography", "Math", "Physics"),
    "Health and Medicine": (
        "Basic_Medical_Science", "Clinical_Medicine", "Diagnostics_and_Laboratory_Medicine", "Pharmacy",
        "Public_Health",
    ),
    "Humanities and Social Science": ("History", "Literature", "Sociology", "Psychology"),
    "Tech and Engineering": (
        "Agriculture", "Architecture_and_Engineering", "Computer_Science", "Electronics", "Energy_and_Power",
        "Materials", "Mechanical_Engineering",
    ),
}  # fmt: skip
_PLACE = re.compile(r"<image (\d+)>")


def hub(files: Sequence[Path]) -> Iterator[Row]:
    """One file for each subject, or all in one."""
    return table(files, PICTURES)


def question(row: Row) -> Question:
    """Text with its pictures where it names them."""
    options = [str(option) for option in ast.literal_eval(row["options"])]
    if row["question_type"] == "multiple-choice":
        text = f"{row['question'].strip()}\n{option_lines(options, '({}) {}')}\n{LETTER_INSTRUCTION}"
    else:
        text = f"{row['question'].strip()}\n{PHRASE_INSTRUCTION}"
    known = row["answer"] not in ("", "?", None)
    reference = {"answer": _truths(row["answer"]) if known else None, "options": options}
    subject = row["id"].split("_", 1)[1].rsplit("_", 1)[0]
    domains = tuple(domain for domain, subjects in DOMAINS.items() if subject in subjects)
    return Question(row["id"], tuple(_content(text, row)), reference, (*domains, subject))


def _content(text: str, row: Row) -> Iterator[str | Picture]:
    for place, part in enumerate(_PLACE.split(text)):
        if place % 2:
            yield row[f"image_{part}"]
        elif part:
            yield part


def _truths(answer: str) -> str | list[str]:
    """An open question may have several answers, written as a Python list."""
    return [str(each) for each in ast.literal_eval(answer)] if answer.startswith("[") else answer


def grade(answer: str, reference: Row) -> Graded:
    """The letter; or one of the readings of an open answer is a number of the truth, or holds its text."""
    truth = reference["answer"]
    if reference["options"]:
        return grade_letter(answer, truth, reference["options"], fallback="A")
    if truth is None:
        return Graded(None, said(answer))
    wanted = {form for each in ([truth] if isinstance(truth, str) else truth) for form in comparable(each)}
    right = any(
        reading in wanted
        if isinstance(reading, float)
        else any(isinstance(form, str) and form in reading for form in wanted)
        for reading in readings(answer)
    )
    return Graded(float(right), said(answer))


MMMU = Benchmark(
    name="mmmu",
    origin="MMMU/MMMU on the hub",
    licence="Apache-2.0",
    citation="Yue et al., MMMU, CVPR 2024",
    splits={
        "val": (Layout("*/validation-*.parquet", hub),),
        "test": (Layout("*/test-*.parquet", hub),),
    },
    question=question,
    grade=grade,
    extraction=f"{LETTER}; of an open answer its short parts and their numbers, by the same parser",
    metric="accuracy by the benchmark's own parser (Yue et al., 2024); the first option where it finds none",
    prompt="the benchmark's LLaVA-1.5 configuration, pictures where the text names them",
    system="Answer the questions.",
    divide_tiles=True,
    submission=dict,
)
