"""MathVista: mathematics with pictures (Lu et al., 2024), testmini.

Two ways to score: by rules, as NVLM's released evaluation code; and as the benchmark's authors do, where a language
model (the judge) reads the final answer out of a longer one.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from nvlm.data.reading import Row, entries
from nvlm.evaluation.answers import LETTER, LETTER_INSTRUCTION, grade_letter, letters, option_lines, pick_letter, said
from nvlm.evaluation.benchmark import Benchmark, Grade, Graded, Judge, Layout, Question
from nvlm.evaluation.mathvista_rules import as_wanted, judge_prompt, plain_number
from nvlm.evaluation.reading import table


def published(files: Sequence[Path]) -> Iterator[Row]:
    """``annot_testmini.json`` with ``images/`` beside it."""
    for pid, row in entries(files[0]):
        yield row | {"pid": pid, "decoded_image": files[0].parent / row["image"]}


def hub(files: Sequence[Path]) -> Iterator[Row]:
    """The same names as columns, and the picture."""
    return table(files, ("decoded_image",))


def question(row: Row) -> Question:
    """With options: the question and its options; else the set's own query without its ``Hint:``."""
    options = row["choices"] if row["question_type"] == "multi_choice" else []
    text = row["query"].replace("Hint: ", "")
    answer = row["answer"]
    if options:
        text = f"{row['question']}\n{option_lines(options)}{LETTER_INSTRUCTION}"
        answer = letters(len(options))[options.index(answer)]
    reference = {"answer": answer, "options": options, "question": row["question"]} | {
        "type": row["answer_type"],
        "precision": row["precision"],
    }
    return Question(row["pid"], (row["decoded_image"], text), reference, (row["metadata"]["task"],))


def grade(answer: str, reference: Row) -> Graded:
    """By rules: the letter, the first where none can be read; or the same number or phrase after normalisation."""
    if reference["options"]:
        return grade_letter(answer, reference["answer"], reference["options"], fallback="A")
    parsed = plain_number(answer, find=True)
    return Graded(float(parsed == plain_number(reference["answer"])), said(parsed))


def judged(judge: Judge) -> Grade:
    """By a judge, which is asked only where the answer is not plainly a letter or a number."""

    def grade(answer: str, reference: Row) -> Graded:
        if not answer.strip():
            return Graded(0.0, None)
        if reference["options"]:
            short = pick_letter(answer, reference["options"]) if len(answer.split()) == 1 else None
        else:
            short = as_wanted(answer, reference) if reference["type"] in ("integer", "float") else None
        short = short or as_wanted(judge(judge_prompt(reference, answer)), reference)
        return Graded(float(short == reference["answer"]), short)

    return grade


MATHVISTA = Benchmark(
    name="mathvista",
    origin="AI4Math/MathVista on the hub (data/testmini-*.parquet, or annot_testmini.json with images.zip unpacked)",
    licence="CC BY-SA 4.0; pictures under the terms of the sets they come from",
    citation="Lu et al., MathVista, ICLR 2024",
    splits={
        "testmini": (Layout("annot_testmini.json", published), Layout("data/testmini-*.parquet", hub)),
    },
    question=question,
    grade=grade,
    extraction=f"{LETTER}; of an open answer the number after 'answer is'; with --judge what the judge reads",
    metric="accuracy by rules (Megatron-LM, examples/multimodal), or with --judge as Lu et al. (2024), section 3.1",
    prompt="Megatron-LM, examples/multimodal",
    system="You are math expert. Use your math knowledge to calculate the answer.",
    max_new_tokens=128,
    judged=judged,
)
