"""Every benchmark: its prompts as they were frozen, its files as they are published, from question to score."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nvlm.evaluation.benchmark import Benchmark, Question, to_messages
from nvlm.evaluation.benchmarks.mathvista import MATHVISTA, judged
from nvlm.evaluation.benchmarks.mmmu import DOMAINS, MMMU
from nvlm.evaluation.benchmarks.nlvr import NLVR
from nvlm.evaluation.benchmarks.ocrbench import OCRBENCH
from nvlm.evaluation.benchmarks.realworldqa import REALWORLDQA
from nvlm.evaluation.benchmarks.sroie import SROIE
from nvlm.evaluation.benchmarks.tabmwp import TABMWP
from nvlm.evaluation.mathvista_rules import as_wanted, judge_prompt, plain_number
from nvlm.evaluation.reading import image_source
from nvlm.evaluation.runner import Job, run
from nvlm.evaluation.sandbox.run import SandboxError
from nvlm.evaluation.suites import BENCHMARKS, SMALL, TEXT, VISION
from nvlm.processing.images import load_image
from tests.evaluation.oracle import Mute, Oracle
from tests.evaluation.sets import FOLDERS, HUB, mmmu_rows
from tests.evaluation.text_sets import TEXT_FOLDERS

GOLDEN = Path(__file__).parent / "golden" / "prompts.txt"
FILES = (*VISION, *TEXT, *SMALL)
CASES = FOLDERS | TEXT_FOLDERS


def job(case: str, folder: Path, split: str | None = None) -> Job:
    name, write = CASES[case]
    write(folder)
    benchmark = BENCHMARKS[name]
    split = split or benchmark.default_split
    return Job(benchmark, split, benchmark.find(split, folder))


def questions(case: str, folder: Path) -> list[Question]:
    return list(job(case, folder).questions())


def frozen(name: str, question: Question) -> str:
    benchmark = BENCHMARKS[name]
    groups = ", ".join(question.groups) or "no groups"
    title = f"== {name}: {question.id}, {groups}; {benchmark.max_new_tokens} tokens"
    return f"{title}\n[{benchmark.system}]\n{question.prompt}\n"


def test_prompts_are_those_that_were_frozen(tmp_path):
    """A change here is another benchmark: its scores no longer compare with earlier ones."""
    shown = [frozen("mmmu", MMMU.question(row)) for row in mmmu_rows()]
    for case, (name, _) in CASES.items():
        if ", " not in case:
            shown += [frozen(name, question) for question in questions(case, tmp_path / case)]
    assert "\n".join(shown) == GOLDEN.read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CASES)
def test_it_runs_from_its_published_files_to_a_score(case, tmp_path):
    found = job(case, tmp_path / case)
    skip_where_it_cannot_be_graded(found.benchmark)
    assert found.count() >= 1
    asked = list(found.questions())
    assert len({question.id for question in asked}) == len(asked)
    for question in asked:
        assert all(load_image(image_source(picture)).size == (40, 24) for picture in question.pictures)
    outcome = run(found, Oracle(), folder=tmp_path / "out")
    right = 0.0 if case == "coco, lines" else 2.5 if name_of(case) == "coco" else 1.0  # one picture has no CIDEr
    assert outcome.score.mean >= right
    mute = run(found, Mute())
    assert mute.unread == mute.asked == len(asked)
    assert mute.score.mean < 1


def skip_where_it_cannot_be_graded(benchmark: Benchmark) -> None:
    try:
        if benchmark.check is not None:
            benchmark.check()
    except SandboxError as error:
        pytest.skip(str(error))


def name_of(case: str) -> str:
    return CASES[case][0]


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path.parent.mkdir(parents=True)
    parquet.write_table(arrow.Table.from_pylist(rows), path)


@pytest.mark.parametrize("name", HUB)
def test_it_runs_from_the_hub_s_parquet_files(name, tmp_path):
    split, path, rows = HUB[name]
    write_parquet(tmp_path / path, rows)
    benchmark = BENCHMARKS[name]
    found = Job(benchmark, split, benchmark.find(split, tmp_path))
    asked = list(found.questions())
    assert [load_image(image_source(picture)).size for question in asked for picture in question.pictures][-1] == (
        40,
        24,
    )
    outcome = run(found, Oracle())
    assert outcome.asked == len(rows)
    if split == "test-dev":
        assert (outcome.score, [each["question_id"] for each in outcome.submission]) == (None, [1, 2])
    else:
        assert outcome.score.mean == 1.0


@pytest.mark.parametrize("benchmark", FILES, ids=lambda each: each.name)
def test_each_says_where_it_comes_from_and_how_it_is_scored(benchmark):
    where = (benchmark.origin, benchmark.licence, benchmark.citation)
    for text in (*where, benchmark.prompt, benchmark.decoding, benchmark.extraction, benchmark.metric):
        assert len(text) >= 3
    assert all(benchmark.splits.values())
    assert benchmark.max_new_tokens >= 1


def test_a_row_of_another_set_is_told(tmp_path):
    found = job("chartqa", tmp_path)
    (tmp_path / "test/test_human.json").write_text('[{"image": "a.png"}]')
    with pytest.raises(ValueError, match=r"not as chartqa publishes it \(KeyError: 'imgname'\)"):
        list(found.questions())


@pytest.mark.parametrize(("case", "split"), [("docvqa", "test"), ("vqav2", "test-dev")])
def test_splits_without_answers_write_what_is_to_be_submitted(case, split, tmp_path):
    found = job(case, tmp_path, split)
    outcome = run(replace(found, benchmark=replace(found.benchmark)), said("A"))
    number = "questionId" if case == "docvqa" else "question_id"
    assert outcome.score is None
    assert outcome.submission == [{number: int(question.id), "answer": "A"} for question in found.questions()]


def test_mmmu_s_test_split_has_nothing_to_score_and_something_to_submit(tmp_path):
    row = mmmu_rows()[0] | {"id": "test_Art_Theory_1", "answer": "?"}
    write_parquet(tmp_path / "Art_Theory/test-00000-of-00001.parquet", [row])
    outcome = run(Job(MMMU, "test", MMMU.find("test", tmp_path)), said("(B)"))
    assert (outcome.score, outcome.submission) == (None, {"test_Art_Theory_1": "B"})


def said(text: str):
    def answer(questions, benchmark):
        from nvlm.evaluation.runner import Answer

        return [Answer(text, 1) for _ in questions]

    return answer


def test_vqav2_s_two_files_must_belong_together(tmp_path):
    found = job("vqav2", tmp_path)
    path = tmp_path / "v2_mscoco_val2014_annotations.json"
    path.write_text(path.read_text().replace("42001", "42005"))
    with pytest.raises(ValueError, match=r"question 42001 stands where the annotations have 42005"):
        list(found.questions())


def test_ai2d_s_labelled_questions_are_masked_in_one_set_only(tmp_path):
    masked, plain = (questions(name, tmp_path / name) for name in ("ai2d", "ai2d_no_mask"))
    assert [each.pictures[0].parent.name for each in masked] == ["abc_images", "images"]
    assert [each.pictures[0].parent.name for each in plain] == ["images", "images"]


def test_mmmu_shows_its_pictures_where_the_text_names_them():
    row = mmmu_rows()[0]
    question = MMMU.question(row)
    assert question.content[:4] == ("Which of ", row["image_1"], " and ", row["image_2"])
    assert question.groups == ("Humanities and Social Science",) or question.groups == ("Art and Design", "Art_Theory")
    assert MMMU.divide_tiles
    assert sum(map(len, DOMAINS.values())) == 30
    kinds = [part["type"] for part in to_messages(question_without_bytes(question), None)[0]["content"]]
    assert kinds[:4] == ["text", "image", "text", "image"]


def question_without_bytes(question: Question) -> Question:
    return replace(question, content=tuple(part if isinstance(part, str) else Path("x") for part in question.content))


OPTIONS = {"answer": "B", "options": ["red", "blue"]}


@pytest.mark.parametrize(
    ("benchmark", "answer", "reference", "score"),
    [
        (MMMU, "(B)", OPTIONS, 1.0),
        (MMMU, "A", OPTIONS, 0.0),
        (MMMU, "the slope is 24/7", {"answer": ["24/7", "3.429"], "options": []}, 1.0),
        (MMMU, "So it is 3.4286.", {"answer": ["24/7", "3.429"], "options": []}, 1.0),
        (MMMU, "3.5", {"answer": ["24/7", "3.429"], "options": []}, 0.0),
        (MMMU, "It is Paris, France", {"answer": "paris", "options": []}, 1.0),
        (MMMU, "K", {"answer": "k", "options": []}, 1.0),
        (MMMU, "B", {"answer": None, "options": ["red", "blue"]}, None),
        (MATHVISTA, "1.2", {"answer": "1.2", "options": []}, 1.0),
        (MATHVISTA, "1.20", {"answer": "1.2", "options": []}, 0.0),  # as the released code: decimals are cut, not read
        (MATHVISTA, "12.00", {"answer": "12", "options": []}, 1.0),
        (MATHVISTA, "The answer is 7 apples", {"answer": "7", "options": []}, 1.0),
        (MATHVISTA, "It may be 7", {"answer": "7", "options": []}, 0.0),
        (MATHVISTA, "50%", {"answer": "50", "options": []}, 1.0),
        (MATHVISTA, "B", OPTIONS, 1.0),
        (OCRBENCH, "It says Centre.", {"answers": ["CENTRE"], "formula": False}, 1.0),
        (OCRBENCH, "CENT RE", {"answers": ["CENTRE"], "formula": False}, 0.0),
        (OCRBENCH, "x^{2}", {"answers": ["x ^ { 2 }"], "formula": True}, 1.0),
        (OCRBENCH, "X^{2}", {"answers": ["x ^ { 2 }"], "formula": True}, 0.0),
        (REALWORLDQA, "B", {"answer": "B", "options": ["Left", "Right"]}, 1.0),
        (REALWORLDQA, "yes.", {"answer": "Yes", "options": []}, 1.0),
        (REALWORLDQA, "two", {"answer": "2", "options": []}, 1.0),
        (SROIE, " 116.28\n", "116.28", 1.0),
        (SROIE, "116.3", "116.28", 0.0),
        (SROIE, "gin kee", "GIN KEE", 0.0),
        (NLVR, "True.", "true", 1.0),
        (NLVR, "No, it is not", "false", 1.0),
        (NLVR, "untrue", "false", 0.0),
        (TABMWP, "$1,040.5", {"answer": "1,040.50", "options": [], "unit": "$"}, 1.0),
        (TABMWP, "1/3", {"answer": "0.333", "options": [], "unit": None}, 1.0),
        (TABMWP, "1/0", {"answer": "0", "options": [], "unit": None}, 0.0),
        (TABMWP, "12 cups.", {"answer": "12", "options": [], "unit": "cups"}, 1.0),
        (TABMWP, "-3", {"answer": "3", "options": [], "unit": None}, 0.0),
    ],
)  # fmt: skip
def test_rows_of_answer_reference_score(benchmark, answer, reference, score):
    assert benchmark.grade(answer, reference).score == score


FREE = {"question": "How many?", "options": [], "answer": "14", "type": "integer", "precision": None}
CHOICE = {"question": "Which?", "options": ["3/11", "8/11"], "answer": "B", "type": "text", "precision": None}


def test_the_judge_reads_long_answers_and_is_spared_short_ones():
    asked = []

    def judge(prompt: str) -> str:
        asked.append(prompt)
        return " 14 " if "How many?" in prompt else "(b) 8/11"

    grade = judged(judge)
    assert grade("14.0", FREE)[:2] == (1.0, "14")
    assert grade("B", CHOICE)[:2] == (1.0, "B")
    assert grade("", FREE)[:2] == (0.0, None)
    assert asked == []
    assert grade("The number missing is 14.", FREE)[:2] == (1.0, "14")
    assert grade("Eight parts of eleven", CHOICE)[:2] == (1.0, "B")
    assert asked == [judge_prompt(FREE, "The number missing is 14."), judge_prompt(CHOICE, "Eight parts of eleven")]
    assert asked[1].endswith("Question: Which?\n(A) 3/11\n(B) 8/11\nResponse: Eight parts of eleven\nAnswer:")


@pytest.mark.parametrize(
    ("text", "reference", "wanted"),
    [
        ("14.7", FREE, "14"),
        ("x", FREE, None),
        ("1.26", FREE | {"type": "float", "precision": 1}, "1.3"),
        ("[1, 2]", FREE | {"type": "list"}, "[1, 2]"),
        ("8/12", CHOICE, "B"),
        ("", FREE | {"type": "list"}, None),
        ("1e999", FREE, None),
    ],
)
def test_what_the_judge_said_takes_the_form_of_the_truth(text, reference, wanted):
    assert as_wanted(text, reference) == wanted


@pytest.mark.parametrize(
    ("text", "plain"),
    [("3.14159", "3.14"), ("12.00", "12"), ("0.5", "0.5"), ("5 %", "5"), ("", ""), ("-3.456", "3.45")],
)
def test_mathvista_s_numbers(text, plain):
    assert plain_number(text) == plain
