import json
from dataclasses import replace

import pytest

from nvlm.evaluation.benchmark import Graded
from nvlm.evaluation.nano_suite import NANO
from nvlm.evaluation.runner import Answer, Job
from nvlm.evaluation.session import claim, evaluate, fingerprint, outcome_lines, summary, write_scores
from nvlm.evaluation.suites import BENCHMARKS
from tests.evaluation.oracle import Mute, Oracle
from tests.evaluation.sets import chartqa, coco, docvqa

TEXTS = [Job(NANO["text/copy"], "test", limit=6), Job(NANO["text/value"], "test", limit=6)]


def test_the_change_against_a_baseline_is_paired_over_the_text_only_benchmarks(tmp_path):
    said: list[str] = []
    jobs = [*TEXTS, Job(NANO["read/word"], "test", limit=2)]
    baseline = Mute()
    done = evaluate(jobs, Oracle(), baseline=lambda: baseline, folder=tmp_path, say=said.append)
    assert set(done.baseline) == {"text/copy", "text/value"}
    assert {name: (each.mean, each.n) for name, each in done.changes.items()} == {
        "text/copy": (1.0, 6), "text/value": (1.0, 6), "all text-only questions": (1.0, 12),
    }  # fmt: skip
    assert done.changes["all text-only questions"].verdict == "gained"
    assert any("against the baseline: +100.0 points" in line for line in summary(done))
    again = Mute()
    evaluate(jobs, Oracle(), baseline=lambda: again, folder=tmp_path, say=said.append)
    assert again.asked == []  # the baseline's answers are kept, too


def test_a_baseline_without_text_only_questions_is_told():
    with pytest.raises(ValueError, match="text-only benchmarks, and there is none"):
        evaluate([Job(NANO["read/word"], "test", limit=1)], Oracle(), baseline=Oracle, say=lambda line: None)


def refuse(questions, benchmark):
    raise ValueError("the row has 9 tokens but only 5 fit")


def test_a_model_that_cannot_be_asked_has_no_change_either():
    said: list[str] = []
    jobs = [replace(each, optional=True) for each in TEXTS]
    done = evaluate(jobs, refuse, baseline=Oracle, say=said.append)
    assert said[0].startswith("text/copy (test)")
    assert said[0].endswith("none of 6 questions could be asked: the row has 9 tokens but only 5 fit")
    assert done.changes == {}
    assert all("text:" not in line for line in summary(done))


def test_letters_that_were_written_and_scores_by_other_rules_are_told():
    grade = lambda answer, truth: Graded(1.0, answer, also={"strict": 0.0})  # noqa: E731
    benchmark = replace(NANO["text/copy"], choices=("A", "B"), grade=grade)
    said: list[str] = []
    evaluate([Job(benchmark, "test", limit=6)], Oracle(), say=said.append)
    assert said[1].split()[:2] == ["strict", "0.0"]
    assert said[2] == "  6 of 6 answers were written: their model does not tell likelihoods"
    said.clear()
    chosen = lambda questions, benchmark: [Answer("A", 1, {"A": -1.0}) for _ in questions]  # noqa: E731
    evaluate([Job(benchmark, "test", limit=6)], chosen, say=said.append)
    assert len(said) == 2


def test_scores_are_written_with_all_that_is_needed_to_read_them(tmp_path):
    chartqa(tmp_path / "data")
    benchmark = BENCHMARKS["chartqa"]
    job = Job(benchmark, "test", benchmark.find("test", tmp_path / "data"))
    done = evaluate([job], Oracle(), say=lambda line: None)
    (tmp_path / "out").mkdir()
    kept = json.loads(write_scores(done, tmp_path / "out").read_text(encoding="utf-8"))["benchmarks"]["chartqa"]
    assert kept["score"] == {"mean": 1.0, "low": pytest.approx(0.342, abs=1e-3), "high": 1.0, "n": 2} | {
        "interval": "Wilson"
    }
    assert {"human", "augmented"} == set(kept["groups"])
    assert {"metric", "licence", "citation", "origin", "unread", "failed", "tokens", "seconds", "split"} <= set(kept)


def test_lines_name_the_split_the_groups_and_what_went_wrong(tmp_path):
    chartqa(tmp_path / "data")
    benchmark = BENCHMARKS["chartqa"]
    said: list[str] = []
    job = Job(benchmark, "test", benchmark.find("test", tmp_path / "data"))
    (outcome,) = evaluate([job], Mute(), say=said.append).outcomes.values()
    assert said == outcome_lines(outcome)
    assert said[0].startswith("chartqa (test)")
    assert [line.split()[0] for line in said[1:3]] == ["augmented", "human"]
    assert said[3] == "  2 of 2 answers could not be read"


def test_cider_is_shown_without_per_cent(tmp_path):
    coco(tmp_path)
    benchmark = BENCHMARKS["coco"]
    said: list[str] = []
    evaluate([Job(benchmark, "test", benchmark.find("test", tmp_path))], Oracle(), say=said.append)
    assert "1000.0 [1000.0, 1000.0], n = 2" in said[0]
    assert "%" not in said[0]


def test_a_submission_is_written_beside_the_answers(tmp_path):
    docvqa(tmp_path / "data")
    benchmark = BENCHMARKS["docvqa"]
    said: list[str] = []
    job = Job(benchmark, "test", benchmark.find("test", tmp_path / "data"))
    (tmp_path / "out").mkdir()
    evaluate([job], Mute(), folder=tmp_path / "out", say=said.append)
    path = tmp_path / "out/docvqa-test-submission.json"
    assert f"  to submit: {path}" in said
    assert json.loads(path.read_text()) == [{"questionId": 337, "answer": ""}, {"questionId": 338, "answer": ""}]


WHAT = {"model": "nano-h (12ab)", "suite": "chartqa", "split": "test"}


def test_a_folder_is_taken_by_one_run_only(tmp_path):
    folder = tmp_path / "deep" / "out"
    claim(folder, WHAT)
    claim(folder, WHAT)
    with pytest.raises(ValueError, match=r"its model is nano-h \(12ab\), not nano-d \(34cd\).*another --out"):
        claim(folder, WHAT | {"model": "nano-d (34cd)"})
    with pytest.raises(ValueError, match="its suite is chartqa, not vision"):
        claim(folder, WHAT | {"suite": "vision"})
    with pytest.raises(ValueError, match="its judge is None, not j"):
        claim(folder, WHAT | {"judge": "j"})


def test_folders_of_others_are_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="not empty and holds no run"):
        claim(tmp_path, WHAT)
    with pytest.raises(ValueError, match="is a file"):
        claim(tmp_path / "thesis.txt", WHAT)


def test_a_model_that_was_trained_further_has_another_fingerprint(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    weights = bytearray(2_000_000)
    (tmp_path / "model.safetensors").write_bytes(weights)
    before = fingerprint(tmp_path)
    (tmp_path / "README.md").write_text("a card changes nothing")
    assert fingerprint(tmp_path) == before
    (tmp_path / "model.safetensors").write_bytes(bytes(byte ^ 1 for byte in weights))
    assert fingerprint(tmp_path) != before
