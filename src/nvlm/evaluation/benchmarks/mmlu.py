"""MMLU: multiple choice about fifty-seven subjects (Hendrycks et al., 2021), five examples in the prompt."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from nvlm.data.reading import Row
from nvlm.evaluation.answers import LETTER, grade_letter, option_lines
from nvlm.evaluation.benchmark import Benchmark, Graded, Layout, MissingData, Question
from nvlm.evaluation.reading import table

LETTERS = ("A", "B", "C", "D")
SHOTS = 5
CATEGORIES = {
    "STEM": """
        abstract_algebra astronomy college_biology college_chemistry college_computer_science college_mathematics
        college_physics computer_security conceptual_physics electrical_engineering elementary_mathematics
        high_school_biology high_school_chemistry high_school_computer_science high_school_mathematics
        high_school_physics high_school_statistics machine_learning
    """,
    "humanities": """
        formal_logic high_school_european_history high_school_us_history high_school_world_history international_law
        jurisprudence logical_fallacies moral_disputes moral_scenarios philosophy prehistory professional_law
        world_religions
    """,
    "social sciences": """
        econometrics high_school_geography high_school_government_and_politics high_school_macroeconomics
        high_school_microeconomics high_school_psychology human_sexuality professional_psychology public_relations
        security_studies sociology us_foreign_policy
    """,
    "other": """
        anatomy business_ethics clinical_knowledge college_medicine global_facts human_aging management marketing
        medical_genetics miscellaneous nutrition professional_accounting professional_medicine virology
    """,
}
"""The authors' grouping."""

CATEGORY = {subject: category for category, subjects in CATEGORIES.items() for subject in subjects.split()}


def published(files: Sequence[Path]) -> Iterator[Row]:
    """``test/anatomy_test.csv`` and so on: question, four options, the answer's letter; examples in ``dev/``.

    Copies with a line of names on top, and the answer's number in place of its letter, are read too.
    """
    for file in files:
        subject, split = file.stem.rsplit("_", 1)
        dev = file.parents[1] / "dev" / f"{subject}_dev.csv"
        if not dev.exists():
            raise _no_examples(dev)
        shots = list(_rows(dev))[:SHOTS]
        for number, row in enumerate(_rows(file)):
            yield row | {"id": f"{subject}/{split}/{number}", "subject": subject, "shots": shots}


def _rows(file: Path) -> Iterator[Row]:
    with file.open(newline="", encoding="utf-8-sig") as lines:
        for cells in csv.reader(lines):
            question, *choices, answer = cells
            if len(choices) != len(LETTERS):
                raise ValueError(f"{file} has {len(cells)} columns and not 6; is it a file of MMLU?")
            if (question, answer) != ("question", "answer"):
                yield {"question": question, "choices": choices, "answer": answer}


def hub(files: Sequence[Path]) -> Iterator[Row]:
    """``all/test-*.parquet``: the subject is a column; the answer is a number; examples in ``all/dev-*.parquet``."""
    dev = sorted(files[0].parent.glob("dev-*.parquet"))
    if not dev:
        raise _no_examples(files[0].parent / "dev-*.parquet")
    shots: dict[str, list[Row]] = {}
    for row in table(dev, ()):
        shots.setdefault(row["subject"], []).append(row)
    split, seen = files[0].name.partition("-")[0], Counter[str]()
    for row in table(files, ()):
        subject = row["subject"]
        yield row | {"id": f"{subject}/{split}/{seen[subject]}", "shots": shots[subject][:SHOTS]}
        seen[subject] += 1


def _no_examples(path: Path) -> MissingData:
    return MissingData(f"{path} is not there: it holds the examples that MMLU's prompts begin with")


def question(row: Row) -> Question:
    """The five examples of the subject with their letters, then the question."""
    subject = row["subject"]
    asked = [*(f"{_ask(shot)} {_letter(shot)}" for shot in row["shots"]), _ask(row)]
    about = f"The following are multiple choice questions (with answers) about {subject.replace('_', ' ')}.\n\n"
    reference = {"answer": _letter(row), "options": list(row["choices"])}
    return Question(row["id"], (about + "\n\n".join(asked),), reference, (CATEGORY[subject], subject))


def _ask(row: Row) -> str:
    return f"{row['question'].strip()}\n{option_lines(row['choices'])}Answer:"


def _letter(row: Row) -> str:
    answer = str(row["answer"]).strip()
    return answer if answer in LETTERS else LETTERS[int(answer)]


def grade(answer: str, reference: Row) -> Graded:
    """The letter."""
    return grade_letter(answer, reference["answer"], reference["options"])


MMLU = Benchmark(
    name="mmlu",
    origin="cais/mmlu on the hub (all/), or data.tar of https://github.com/hendrycks/test unpacked",
    licence="MIT",
    citation="Hendrycks et al., Measuring Massive Multitask Language Understanding, ICLR 2021",
    splits={
        "test": (Layout("test/*_test.csv", published), Layout("all/test-*.parquet", hub)),
        "val": (Layout("val/*_val.csv", published), Layout("all/validation-*.parquet", hub)),
    },
    question=question,
    grade=grade,
    extraction=f"nothing; of an answer that was written {LETTER}",
    metric="accuracy over all questions: the likeliest of the letters A to D (Hendrycks et al., 2021)",
    prompt="the authors', with the first five questions of the subject's dev split, in one user turn",
    choices=LETTERS,
    text_only=True,
)
