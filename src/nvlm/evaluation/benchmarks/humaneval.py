"""HumanEval: Python functions from their descriptions, tested by running them (Chen et al., 2021)."""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from nvlm.data.reading import Row
from nvlm.evaluation.answers import before
from nvlm.evaluation.benchmark import Benchmark, Graded, Layout, Question
from nvlm.evaluation.reading import lines, table
from nvlm.evaluation.sandbox.run import SECONDS, check_sandbox, run_program

ENDS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")
"""Where a function's body has ended (Chen et al., 2021, section 2.1)."""

INDENT = "    "
_BLOCK = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)(?:\n[ \t]*```|\Z)", re.DOTALL | re.IGNORECASE)


def published(files: Sequence[Path]) -> Iterator[Row]:
    """``HumanEval.jsonl.gz``, one object in a line."""
    return lines(files[0])


def hub(files: Sequence[Path]) -> Iterator[Row]:
    """The same names as columns."""
    return table(files, ())


def question(row: Row) -> Question:
    """The beginning of a function, with its description."""
    text = (
        "Write a solution to the following problem and make sure that it passes the tests:\n"
        f"```python\n{row['prompt']}\n```\n"
    )
    reference = {name: row[name] for name in ("prompt", "entry_point", "test")}
    return Question(row["task_id"], (text,), reference | {"answer": row["canonical_solution"]})


def grade(answer: str, reference: Row, confined: bool = True) -> Graded:
    """Pass the set's own tests.

    Args:
        confined: run them in the sandbox.
    """
    code = read_code(answer, reference)
    if code is None:
        return Graded(0.0, None)
    tests = f"{code}\n{reference['test']}\ncheck({reference['entry_point']})\n"
    reason = run_program(tests, confined)
    return Graded(float(reason is None), code, reason)


def read_code(answer: str, reference: Row) -> str | None:
    """The program of an answer: the function, or its body after the prompt; None where nothing was written.

    Of several code blocks the first with the function counts, else the first. A function gets what stands before it in
    the prompt: imports, and functions that it may use.
    """
    blocks = _BLOCK.findall(answer)
    begin = f"def {reference['entry_point']}("
    code = next((block for block in blocks if begin in block), blocks[0] if blocks else answer)
    if not code.strip():
        return None
    if begin in code:
        return str(reference["prompt"].rpartition(begin)[0] + code)
    body = before(code.strip("\n"), ENDS)
    # the white space before an answer is not kept, so its first line may have lost its indentation
    return str(reference["prompt"]) + (body if body.startswith((" ", "\t")) else INDENT + body)


HUMANEVAL = Benchmark(
    name="humaneval",
    origin="openai/openai_humaneval on the hub, or https://github.com/openai/human-eval, its data folder",
    licence="MIT",
    citation="Chen et al., Evaluating Large Language Models Trained on Code, 2021",
    splits={
        "test": (Layout("HumanEval.jsonl*", published), Layout("openai_humaneval/test-*.parquet", hub)),
    },
    question=question,
    grade=grade,
    extraction="the first code block with the function, else the first, else the answer as the function's body",
    metric=f"pass@1 of one greedy answer (Chen et al., 2021); {SECONDS} s of the processor, standard library only",
    prompt="lm-evaluation-harness 0.4 (MIT), humaneval_instruct v4, without the beginning of the answer",
    max_new_tokens=1024,
    text_only=True,
    check=check_sandbox,
    unsandboxed=partial(grade, confined=False),
)
