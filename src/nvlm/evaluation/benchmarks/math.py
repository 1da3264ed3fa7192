"""MATH: competition mathematics (Hendrycks et al., 2021), with the four worked examples of Minerva's prompt."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from nvlm.data.reading import Row
from nvlm.evaluation.answers import before
from nvlm.evaluation.benchmark import Benchmark, Graded, Layout, Question
from nvlm.evaluation.math_answers import equal, final_answer, last_boxed
from nvlm.evaluation.reading import lines, table

EXAMPLES = (
    (
        r"Find the domain of the expression  $\frac{\sqrt{x-2}}{\sqrt{5-x}}$.",
        r"The expressions inside each square root must be non-negative. Therefore, $x-2 \ge 0$, so $x\ge2$, and "
        r"$5 - x \ge 0$, so $x \le 5$. Also, the denominator cannot be equal to zero, so $5-x>0$, which gives $x<5$. "
        r"Therefore, the domain of the expression is $\boxed{[2,5)}$.",
        "$[2,5)$",
    ),
    (
        r"If $\det \mathbf{A} = 2$ and $\det \mathbf{B} = 12,$ then find $\det (\mathbf{A} \mathbf{B}).$",
        r"We have that $\det (\mathbf{A} \mathbf{B}) = (\det \mathbf{A})(\det \mathbf{B}) = (2)(12) = \boxed{24}.$",
        "$24$",
    ),
    (
        "Terrell usually lifts two 20-pound weights 12 times. If he uses two 15-pound weights instead, how many times "
        "must Terrell lift them in order to lift the same total weight?",
        r"If Terrell lifts two 20-pound weights 12 times, he lifts a total of $2\cdot 12\cdot20=480$ pounds of weight."
        r"  If he lifts two 15-pound weights instead for $n$ times, he will lift a total of $2\cdot15\cdot n=30n$ "
        "pounds of weight.  Equating this to 480 pounds, we can solve for $n$:\n"
        "\\begin{align*}\n30n&=480\\\\\n\\Rightarrow\\qquad n&=480/30=\\boxed{16}\n\\end{align*}",
        "$16$",
    ),
    (
        "If the system of equations\n\n\\begin{align*}\n6x-4y&=a,\\\\\n6y-9x &=b.\n\\end{align*}has a solution "
        "$(x, y)$ where $x$ and $y$ are both nonzero,\nfind $\\frac{a}{b},$ assuming $b$ is nonzero.",
        "If we multiply the first equation by $-\\frac{3}{2}$, we obtain\n\n$$6y-9x=-\\frac{3}{2}a.$$Since we also "
        "know that $6y-9x=b$, we have\n\n"
        r"$$-\frac{3}{2}a=b\Rightarrow\frac{a}{b}=\boxed{-\frac{2}{3}}.$$",
        r"$-\frac{2}{3}$",
    ),
)
"""Problem, solution, answer: of MATH's training set (MIT), as Lewkowycz et al. (2022), appendix D.2, write them."""

ENDS = ("Problem:",)


def published(files: Sequence[Path]) -> Iterator[Row]:
    """``test/algebra/1.json`` and so on, a folder for each type: problem, level, type, solution."""
    for file in sorted(files[0].parents[1].glob("*/*.json")):
        yield json.loads(file.read_text(encoding="utf-8")) | {"id": f"{file.parent.name}/{file.stem}"}


def plain(files: Sequence[Path]) -> Iterator[Row]:
    """The same names, one object in a line."""
    for number, row in enumerate(lines(files[0])):
        yield row | {"id": str(number)}


def hub(files: Sequence[Path]) -> Iterator[Row]:
    """The same names as columns, one folder for each type."""
    for file in sorted(files[0].parents[1].glob("*/test-*.parquet")):
        for number, row in enumerate(table([file], ())):
            yield row | {"id": f"{file.parent.name}/{number}"}


def question(row: Row) -> Question:
    """Four worked examples, then the problem."""
    examples = "".join(
        f"{_ask(problem)} {solution}\nFinal Answer: The final answer is {answer}. I hope it is correct.\n\n"
        for problem, solution, answer in EXAMPLES
    )
    truth = last_boxed(row["solution"])
    if truth is None:
        raise ValueError(f"the solution of {row['id']} has no \\boxed answer; is it a file of MATH?")
    reference = {"answer": row["solution"], "final": truth}
    return Question(row["id"], (examples + _ask(row["problem"]),), reference, (row["type"], row["level"]))


def _ask(problem: str) -> str:
    return f"Problem:\n{problem}\n\nSolution:"


def grade(answer: str, reference: Row) -> Graded:
    """The final answer is the truth, or the same number."""
    found = final_answer(before(answer, ENDS))
    return Graded(float(found is not None and equal(found, reference["final"])), found)


MATH = Benchmark(
    name="math",
    origin="EleutherAI/hendrycks_math on the hub, or https://github.com/hendrycks/math, MATH.tar unpacked",
    licence="MIT",
    citation="Hendrycks et al., Measuring Mathematical Problem Solving With the MATH Dataset, NeurIPS 2021",
    splits={
        "test": (
            Layout("test/algebra/*.json", published),
            Layout("algebra/test-*.parquet", hub),
            Layout("math_test.jsonl", plain),
        ),
    },
    question=question,
    grade=grade,
    extraction="what Minerva's last sentence says, else the last \\boxed, else what follows 'final answer is'",
    metric="the final answer, by Minerva's sentence or the last \\boxed, is the truth after normalisation "
    "(Lewkowycz et al., 2022, appendix D.1; Hendrycks et al., 2021), or the same number",
    prompt="Minerva's, four examples (Lewkowycz et al., 2022, appendix D.2), in one user turn",
    max_new_tokens=1024,
    text_only=True,
)
