"""GSM8K: school arithmetic in words (Cobbe et al., 2021), five worked examples in the prompt."""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from nvlm.data.reading import Row
from nvlm.evaluation.answers import before
from nvlm.evaluation.benchmark import Benchmark, Graded, Layout, MissingData, Question
from nvlm.evaluation.reading import lines, table

SHOTS = 5
ENDS = ("Question:", "</s>", "<|im_end|>")
"""Where an answer ends that goes on to a question of its own."""

_MARKED = re.compile(r"#### (-?[0-9.,]+)")
_NUMBER = re.compile(r"-?[$0-9.,]{2,}|-?[0-9]+")


def published(files: Sequence[Path]) -> Iterator[Row]:
    """``test.jsonl``, and ``train.jsonl`` for the examples."""
    train = files[0].with_name(files[0].name.replace("test", "train"))
    return _rows(lines(files[0]), lines(train), train.exists(), train)


def hub(files: Sequence[Path]) -> Iterator[Row]:
    """The same names as columns."""
    train = sorted(files[0].parent.glob("train-*.parquet"))
    return _rows(table(files, ()), table(train, ()), bool(train), files[0].with_name("train-*.parquet"))


def _rows(asked: Iterator[Row], train: Iterator[Row], there: bool, where: Path) -> Iterator[Row]:
    if not there:
        raise MissingData(f"{where} is not there: it holds the examples that GSM8K's prompts begin with")
    shots = list(islice(train, SHOTS))
    for number, row in enumerate(asked):
        yield row | {"id": str(number), "shots": shots}


def question(row: Row) -> Question:
    """Five worked examples, then the question."""
    examples = "".join(f"{_ask(shot)} {shot['answer']}\n\n" for shot in row["shots"])
    return Question(row["id"], (examples + _ask(row),), {"answer": row["answer"]})


def _ask(row: Row) -> str:
    return f"Question: {row['question']}\nAnswer:"


def grade(answer: str, reference: Row) -> Graded:
    """The last number is the truth; ``strict``: the one after ``####``, as the examples write it.

    >>> grade("5 + 6 = 11. So it is $11.", {"answer": "5 + 6 = <<5+6=11>>11\\n#### 11"})
    Graded(score=1.0, parsed='11', reason=None, also={'strict': 0.0})
    """
    text, truth = before(answer, ENDS), plain(_MARKED.findall(reference["answer"])[-1])
    numbers, marked = _NUMBER.findall(text), _MARKED.search(text)
    last = plain(numbers[-1]) if numbers else None
    strict = marked is not None and plain(marked[1]) == truth
    return Graded(float(last == truth), last, also={"strict": float(strict)})


def plain(number: str) -> str:
    """Without thousands commas, a dollar sign, and a full stop at the end."""
    return number.replace(",", "").replace("$", "").removesuffix(".")


GSM8K = Benchmark(
    name="gsm8k",
    origin="openai/gsm8k on the hub (main/), or https://github.com/openai/grade-school-math, its data folder",
    licence="MIT",
    citation="Cobbe et al., Training Verifiers to Solve Math Word Problems, 2021",
    splits={
        "test": (
            Layout("test.jsonl", published),
            Layout("gsm8k_test.jsonl", published),
            Layout("main/test-*.parquet", hub),
        ),
    },
    question=question,
    grade=grade,
    extraction="the last number; strict: the number after #### (lm-evaluation-harness 0.4, gsm8k v3)",
    metric="the answer's last number is the truth; strict: the one after #### (lm-evaluation-harness 0.4, gsm8k v3)",
    prompt="lm-evaluation-harness 0.4 (MIT), gsm8k v3, with the first five questions of train, in one user turn",
    max_new_tokens=512,
    text_only=True,
)
