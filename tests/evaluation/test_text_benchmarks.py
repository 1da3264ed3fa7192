"""The text-only benchmarks: the hub's files, rows of answers, and the programs that are read out of answers."""

import pytest

from nvlm.evaluation.benchmark import MissingData
from nvlm.evaluation.benchmarks.gsm8k import GSM8K, plain
from nvlm.evaluation.benchmarks.humaneval import HUMANEVAL, grade, read_code
from nvlm.evaluation.benchmarks.math import MATH
from nvlm.evaluation.benchmarks.mmlu import CATEGORY, MMLU
from nvlm.evaluation.runner import Job, run
from nvlm.evaluation.suites import BENCHMARKS
from tests.evaluation.oracle import Oracle
from tests.evaluation.test_benchmarks import questions, skip_where_it_cannot_be_graded
from tests.evaluation.text_sets import DOUBLED, OPTIONS, TEXT_HUB, gsm8k, math, mmlu


@pytest.mark.parametrize("name", TEXT_HUB)
def test_it_runs_from_the_hub_s_parquet_files(name, tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    benchmark, (split, files) = BENCHMARKS[name], TEXT_HUB[name]
    skip_where_it_cannot_be_graded(benchmark)
    for path, rows in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / path)
    found = Job(benchmark, split, benchmark.find(split, tmp_path))
    asked = list(found.questions())
    assert (
        len({question.id for question in asked})
        == len(asked)
        == sum(len(rows) for path, rows in files.items() if "/test-" in path)
    )
    assert run(found, Oracle()).score.mean == 1.0


def test_mmlu_takes_its_examples_from_dev_and_counts_by_subject_and_category(tmp_path):
    assert questions("mmlu, header", tmp_path / "header") == (asked := questions("mmlu", tmp_path / "plain"))
    assert [question.groups for question in asked] == [("STEM", "abstract_algebra"), ("humanities", "world_religions")]
    assert all(question.prompt.count("of dev?") == 5 for question in asked)
    assert (len(CATEGORY), MMLU.choices, MMLU.text_only) == (57, ("A", "B", "C", "D"), True)


@pytest.mark.parametrize(
    ("benchmark", "write", "examples"),
    [(MMLU, mmlu, "dev/abstract_algebra_dev.csv"), (GSM8K, gsm8k, "train.jsonl")],
    ids=["mmlu", "gsm8k"],
)
def test_examples_that_are_missing_are_told(benchmark, write, examples, tmp_path):
    write(tmp_path)
    (tmp_path / examples).unlink()
    with pytest.raises(MissingData, match=f"{examples} is not there: it holds the examples"):
        list(Job(benchmark, "test", benchmark.find("test", tmp_path)).questions())


def test_files_of_another_set_are_told(tmp_path):
    mmlu(tmp_path / "mmlu")
    (tmp_path / "mmlu/test/world_religions_test.csv").write_text("a,b,c\n")
    with pytest.raises(ValueError, match="has 3 columns and not 6; is it a file of MMLU"):
        list(Job(MMLU, "test", MMLU.find("test", tmp_path / "mmlu")).questions())
    math(tmp_path / "math")
    path = tmp_path / "math/test/algebra/1.json"
    path.write_text(path.read_text().replace("boxed", "text"))
    with pytest.raises(ValueError, match=r"the solution of algebra/1 has no .boxed answer"):
        list(Job(MATH, "test", MATH.find("test", tmp_path / "math")).questions())


@pytest.mark.parametrize(
    ("answer", "score", "strict", "parsed"),
    [
        ("It is 7 * 6 = <<7*6=42>>42.\n#### 42", 1.0, 1.0, "42"),
        ("So there are 42 eggs.", 1.0, 0.0, "42"),
        ("$42.", 1.0, 0.0, "42"),
        ("#### 42\n\nQuestion: What is 1 + 1?\nAnswer: #### 2", 1.0, 1.0, "42"),
        ("#### 41", 0.0, 0.0, "41"),
        ("#### 42\nThat is 6 less than 48.", 0.0, 1.0, "48"),
        ("-42", 0.0, 0.0, "-42"),
        ("42.0", 0.0, 0.0, "42.0"),  # as published: numbers are compared as they are written
        ("No idea", 0.0, 0.0, None),
        ("", 0.0, 0.0, None),
    ],
)
def test_gsm8k(answer, score, strict, parsed):
    graded = GSM8K.grade(answer, {"answer": "7 * 6 = <<7*6=42>>42\n#### 42"})
    assert (graded.score, graded.also, graded.parsed) == (score, {"strict": strict}, parsed)


def test_gsm8k_s_numbers_have_no_commas():
    assert GSM8K.grade("#### 1,234,000.", {"answer": "#### 1234000"}) == (1.0, "1234000", None, {"strict": 1.0})
    assert plain("$1,234.") == "1234"


@pytest.mark.parametrize(
    ("answer", "score", "parsed"),
    [("B", 1.0, "B"), ("The answer is (B).", 1.0, "B"), ("A", 0.0, "A"), ("Hm", 0.0, None), ("", 0.0, None)],
)
def test_mmlu(answer, score, parsed):
    assert MMLU.grade(answer, {"answer": "B", "options": OPTIONS})[:2] == (score, parsed)


@pytest.mark.parametrize(
    ("answer", "score", "parsed"),
    [
        ("It is $\\boxed{\\frac12}$.", 1.0, "\\frac12"),
        ("Final Answer: The final answer is $0.5$. I hope it is correct.\n\nProblem:\nWhat is 1?", 1.0, "$0.5$"),
        ("\\boxed{0.51}", 0.0, "0.51"),
        ("One half", 0.0, None),
        ("Problem:\n\\boxed{\\frac12}", 0.0, None),
    ],
)
def test_math(answer, score, parsed):
    assert MATH.grade(answer, {"final": "\\frac{1}{2}"})[:2] == (score, parsed)


BODY, WHOLE = "    return 4 * half(x)\n", "def doubled(x):\n    return x + x"
PREAMBLE = DOUBLED["prompt"].partition("def doubled")[0]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (BODY, DOUBLED["prompt"] + BODY.rstrip("\n")),
        (BODY.strip(), DOUBLED["prompt"] + BODY.rstrip("\n")),
        (f"{BODY}\nprint(doubled(2))", DOUBLED["prompt"] + BODY),
        (WHOLE, PREAMBLE + WHOLE),
        (f"Here it is:\n```python\n{WHOLE}\n```\nIt adds.", PREAMBLE + WHOLE),
        (f"```\n{WHOLE}", PREAMBLE + WHOLE),
        (f"First:\n```python\nx = 1\n```\nthen\n```py\n{WHOLE}\n```", PREAMBLE + WHOLE),
        (" \n", None),
        ("```python\n\n```", None),
    ],
)
def test_the_program_of_an_answer(answer, code):
    assert read_code(answer, DOUBLED) == code


@pytest.mark.parametrize(
    ("answer", "score", "reason"),
    [
        (WHOLE, 1.0, None),
        ("    return x", 0.0, "AssertionError"),
        ("    return y", 0.0, "NameError: name 'y' is not defined"),
        ("def doubled(x:", 0.0, "SyntaxError: "),
        ("    raise SystemExit", 0.0, "SystemExit"),
        ("", 0.0, None),
    ],
)
def test_humaneval(answer, score, reason):
    skip_where_it_cannot_be_graded(HUMANEVAL)
    graded = grade(answer, DOUBLED)
    assert graded.score == score
    assert (graded.reason or "").startswith(reason or "")
    assert (graded.reason is None) == (reason is None)


def test_with_consent_programs_run_without_the_sandbox(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "nvlm.evaluation.benchmarks.humaneval.run_program", lambda program, confined: asked.append(confined)
    )
    assert HUMANEVAL.unsandboxed(WHOLE, DOUBLED).score == HUMANEVAL.grade(WHOLE, DOUBLED).score == 1.0
    assert asked == [False, True]
