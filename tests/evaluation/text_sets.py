"""The text-only sets in their published layouts, a few rows of each."""

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.evaluation.sets import json_lines, text

OPTIONS = [f"option {number}" for number in range(4)]


def mmlu(root: Path, header: bool = False) -> None:
    for split, count in (("dev", 6), ("test", 1), ("val", 1)):
        rows = [(f"Question {number} of {split}? ", *OPTIONS, "ABCD"[number % 4]) for number in range(count)]
        if header:
            named = [("question", "choice0", "choice1", "choice2", "choice3", "answer")]
            rows = [*named, *((*row[:5], str("ABCD".index(row[5]))) for row in rows)]
        for subject in ("abstract_algebra", "world_religions"):
            path = root / split / f"{subject}_{split}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows(rows)


def mmlu_with_header(root: Path) -> None:
    mmlu(root, header=True)


def gsm8k(root: Path, prefix: str = "") -> None:
    for split, count in (("train", 6), ("test", 1)):
        rows = [
            {"question": f"What is {number} + 1000?", "answer": f"It is {1000 + number:,}.\n#### {1000 + number:,}"}
            for number in range(count)
        ]
        json_lines(root / f"{prefix}{split}.jsonl", rows)


def gsm8k_prefixed(root: Path) -> None:
    gsm8k(root, "gsm8k_")


def problem(answer: str, kind: str = "Algebra") -> dict[str, Any]:
    solution = f"We find that the answer is $\\boxed{{{answer}}}$."
    return {"problem": "What is $x$?", "level": "Level 3", "type": kind, "solution": solution}


def math(root: Path) -> None:
    text(root / "test/algebra/1.json", problem(r"\frac{1}{2}"))
    text(root / "test/number_theory/7.json", problem("x^{2}", "Number Theory"))


def math_lines(root: Path) -> None:
    json_lines(root / "math_test.jsonl", [problem("12"), problem(r"\frac{3}{4}")])


DOUBLED = {
    "task_id": "HumanEval/0",
    "prompt": 'import math\n\n\ndef half(x):\n    return x / 2\n\n\ndef doubled(x):\n    """Twice x."""\n',
    "entry_point": "doubled",
    "canonical_solution": "    return 4 * half(x)\n",
    "test": "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(0) == 0\n",
}


def humaneval(root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    with gzip.open(root / "HumanEval.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(json.dumps(DOUBLED) + "\n")


def humaneval_unpacked(root: Path) -> None:
    json_lines(root / "HumanEval.jsonl", [DOUBLED])


TEXT_FOLDERS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "mmlu": ("mmlu", mmlu), "mmlu, header": ("mmlu", mmlu_with_header), "gsm8k": ("gsm8k", gsm8k),
    "gsm8k, prefix": ("gsm8k", gsm8k_prefixed), "math": ("math", math), "math, lines": ("math", math_lines),
    "humaneval": ("humaneval", humaneval), "humaneval, unpacked": ("humaneval", humaneval_unpacked),
}  # fmt: skip
"""Case → (benchmark, what writes its files)."""


def choice(subject: str, number: int) -> dict[str, Any]:
    return {"question": f"Question {number}?", "subject": subject, "choices": OPTIONS, "answer": number % 4}


def sums(count: int) -> list[dict[str, Any]]:
    return [{"question": f"{number} + 1?", "answer": f"#### {number + 1}"} for number in range(count)]


TEXT_HUB: dict[str, tuple[str, dict[str, list[dict[str, Any]]]]] = {
    "mmlu": ("test", {
        "all/dev-00000-of-00001.parquet": [choice(each, n) for n in range(6) for each in ("anatomy", "virology")],
        "all/test-00000-of-00001.parquet": [choice(each, n) for each in ("virology", "anatomy") for n in range(2)],
    }),
    "gsm8k": ("test", {
        "main/train-00000-of-00001.parquet": sums(7), "main/test-00000-of-00001.parquet": sums(3),
    }),
    "math": ("test", {
        "algebra/test-00000-of-00001.parquet": [problem("5")],
        "geometry/test-00000-of-00001.parquet": [problem("6", "Geometry"), problem("7", "Geometry")],
    }),
    "humaneval": ("test", {"openai_humaneval/test-00000-of-00001.parquet": [DOUBLED]}),
}  # fmt: skip
"""Benchmark → (split, files below its folder with their rows), as on the Hugging Face hub."""
