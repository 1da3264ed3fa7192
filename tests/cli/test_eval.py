"""`nvlm eval` as a user types it."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nvlm.cli.main import main
from nvlm.evaluation.suites import BENCHMARKS
from tests.evaluation.server import saying, serve
from tests.evaluation.sets import chartqa, coco, mathvista, nlvr, sroie, tabmwp, text
from tests.evaluation.text_sets import gsm8k, humaneval, math, mmlu


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    for write in (chartqa, coco, nlvr, sroie, tabmwp):
        write(tmp_path / "sets" / write.__name__)
    return tmp_path / "sets"


def evaluate(*words: object) -> int:
    return main(["eval", *map(str, words)])


def test_the_built_in_suite_needs_nothing(tiny_folder, capsys):
    assert evaluate(tiny_folder, "--limit", 1, "--split", "validation", "--suite", "text/copy,read/word") == 0
    shown = capsys.readouterr().out
    assert "text/copy (validation)" in shown
    assert "n = 1" in shown
    assert "Wilson's" in shown
    assert "without --out the answers are not kept" in shown


def test_a_suite_runs_on_real_pictures_and_a_second_run_asks_nothing(tiny_folder, sets, tmp_path, capsys, monkeypatch):
    out = tmp_path / "out"
    assert evaluate(tiny_folder, "--suite", "vision,small", "--data", sets, "--limit", 2, "--out", out) == 0
    first = capsys.readouterr().out
    assert "left out: the val split of mmmu is not there" in first
    assert "left out, as said above: mmmu, mathvista, ocrbench, ai2d, ai2d_no_mask, docvqa" in first
    for name in ("chartqa (test)", "coco (test)", "tabmwp (dev1k)", "sroie (train)", "nlvr (dev)"):
        assert name in first
    before = {path: path.read_bytes() for path in out.rglob("*.jsonl")}
    assert len(before) == 5

    def never(*args):
        raise AssertionError("asked again")

    monkeypatch.setattr("nvlm.evaluation.answering.LocalModel.__call__", never)
    assert evaluate(tiny_folder, "--suite", "vision,small", "--data", sets, "--limit", 2, "--out", out) == 0
    assert {path: path.read_bytes() for path in out.rglob("*.jsonl")} == before
    assert [line for line in capsys.readouterr().out.splitlines() if "n = " in line] == [
        line for line in first.splitlines() if "n = " in line
    ]
    scores = json.loads((out / "scores.json").read_text(encoding="utf-8"))
    assert set(scores["benchmarks"]) == {"chartqa", "coco", "nlvr", "sroie", "tabmwp"}
    assert "MMMU/MMMU on the hub" in scores["left out"]["mmmu"]


def test_a_model_stands_against_its_language_model(tiny_folder, language_folder, tmp_path, capsys):
    out = tmp_path / "out"
    words = [tiny_folder, "--suite", "text/copy,text/value", "--limit", 3, "--baseline", language_folder, "--out", out]
    assert evaluate(*words) == 0
    shown = capsys.readouterr().out
    assert "the baseline:" in shown
    assert "text/copy" in shown
    assert "all text-only questions" in shown
    assert "n = 6: not enough data" in shown
    assert (out / "baseline/text/copy.jsonl").exists()
    assert set(json.loads((out / "scores.json").read_text())["changes"]) == {
        "text/copy", "text/value", "all text-only questions",
    }  # fmt: skip


def test_the_text_suite_against_a_language_model(tiny_folder, language_folder, tmp_path, capsys, monkeypatch):
    """The prompts of GSM8K and MATH do not fit into this model: it has no score there, and the others go on."""
    for write in (mmlu, gsm8k, math, humaneval):
        write(tmp_path / "sets" / "text" / write.__name__)
    monkeypatch.setattr("nvlm.evaluation.benchmarks.humaneval.run_program", lambda program, confined: "NameError: x")
    words = ["--suite", "text", "--data", tmp_path / "sets", "--baseline", language_folder, "--allow-unsandboxed"]
    for name in ("gsm8k", "math", "humaneval"):
        shorter = replace(BENCHMARKS[name], max_new_tokens=8 if name == "humaneval" else 500)
        monkeypatch.setitem(BENCHMARKS, name, shorter)
    assert evaluate(tiny_folder, *words, "--out", tmp_path / "out") == 0
    shown = capsys.readouterr().out
    assert "gsm8k (test)                       none of 1 questions could be asked: the row has " in shown
    assert "  mmlu                           against the baseline: " in shown
    assert "  gsm8k " not in shown.partition("mmlu                           against")[2]
    record = json.loads((tmp_path / "out/mmlu.jsonl").read_text().splitlines()[0])
    assert set(record["likelihoods"]) == {"A", "B", "C", "D"}
    record = json.loads((tmp_path / "out/humaneval.jsonl").read_text())
    assert (record["score"], record["reason"]) == (0.0, "NameError: x")
    scores = json.loads((tmp_path / "out/scores.json").read_text())["benchmarks"]
    assert (scores["mmlu"]["by likelihood"], scores["math"]["score"]) == (2, None)


def test_a_server_writes_letters_where_it_cannot_weigh_them(tmp_path, capsys):
    mmlu(tmp_path / "mmlu")
    with serve(lambda body: saying("The answer is (A).")) as (address, requests):
        assert evaluate(address, "--model-name", "peer", "--suite", "mmlu", "--data", tmp_path) == 0
    assert [body["max_tokens"] for body in requests] == [16, 16]
    shown = capsys.readouterr().out
    assert "mmlu (test)                        100.0 %" in shown
    assert "  2 of 2 answers were written: their model does not tell likelihoods" in shown


def test_a_server_stands_in_for_a_model(sets, capsys):
    with serve(lambda body: saying("true")) as (address, requests):
        assert evaluate(address, "--model-name", "peer", "--suite", "nlvr", "--data", sets) == 0
    assert len(requests) == 2
    assert "nlvr (dev)                         50.0 %" in capsys.readouterr().out


def test_a_judge_reads_mathvista_s_long_answers(tmp_path, capsys):
    mathvista(tmp_path / "mathvista")
    with (
        serve(lambda body: saying("I think that it is 1.2 litres or so in all")) as (address, _),
        serve(lambda body: saying("1.2" if "volume" in body["messages"][0]["content"] else "B")) as (judge, read),
    ):
        words = [address, "--model-name", "peer", "--suite", "mathvista", "--data", tmp_path]
        assert evaluate(*words, "--judge", judge, "--judge-model", "reader") == 0
        assert "mathvista (testmini)               100.0 %" in capsys.readouterr().out
        assert len(read) == 2
        assert evaluate(*words[:-3], "text/copy", "--limit", 1, "--judge", judge, "--judge-model", "reader") == 2
    assert "--judge is for mathvista" in capsys.readouterr().err


def test_the_list_names_every_benchmark_and_where_to_get_it(capsys):
    assert evaluate("--list") == 0
    shown = capsys.readouterr().out
    parts = ("--suite vision", "mmmu  (splits: val, test)", "AI4Math/MathVista", "CC BY-NC-SA", "text/copy")
    for part in (*parts, "greedy, at most 16 new tokens", "the likeliest of A, B, C, D", "by MMMU's parser"):
        assert part in shown


def test_a_baseline_that_is_not_there_is_told_before_a_question_is_asked(tiny_folder, capsys):
    assert evaluate(tiny_folder, "--suite", "text/copy", "--limit", 1, "--baseline", "nowhere") == 2
    said = capsys.readouterr()
    assert "nowhere is no folder with a saved language model" in said.err
    assert said.out == ""


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["runs/nothing/here"], "the folder runs/nothing/here does not exist"),
        (["nano-z"], "did you mean nano-"),
        ([], "no model is named"),
        (["TINY", "--suite", "chartq"], "did you mean chartqa?"),
        (["TINY", "--suite", "docvqa", "--data", "SETS"], "get task 1 of https://rrc.cvc.uab.es"),
        (["TINY", "--suite", "chartqa", "--data", "SETS", "--split", "dev"], "no split 'dev'; there is test, val"),
        (["TINY", "--data", "nowhere"], "--data nowhere is no folder"),
        (["TINY", "--limit", "0"], "must be at least 1"),
        (["http://localhost:9/v1"], "--model-name go together"),
        (["TINY", "--model-name", "x"], "--model-name go together"),
        (["TINY", "--judge", "http://localhost:9/v1"], "--judge-model go together"),
        (["TINY", "--suite", "nlvr", "--data", "SETS", "--baseline", "TINY"], "none in the suite"),
        (["TINY", "--suite", "text/copy", "--limit", "1", "--baseline", "nowhere"], "no folder with a saved language"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(tiny_folder, sets, capsys, words, complaint):
    given = [{"TINY": str(tiny_folder), "SETS": str(sets)}.get(word, word) for word in words]
    assert evaluate(*given) == 2
    shown = capsys.readouterr().err
    assert complaint in shown
    assert shown.startswith("nvlm: ")
    assert shown.count("\n") == 1


def test_a_folder_of_another_run_is_refused_with_both_names(tiny_folder, tmp_path, capsys):
    out = tmp_path / "out"
    assert evaluate(tiny_folder, "--suite", "text/copy", "--limit", 1, "--out", out) == 0
    assert evaluate(tiny_folder, "--suite", "text/value", "--limit", 1, "--out", out) == 2
    assert "its suite is text/copy, not text/value" in capsys.readouterr().err
    with serve(lambda body: saying("x")) as (address, _):
        assert evaluate(address, "--model-name", "peer", "--suite", "text/copy", "--limit", 1, "--out", out) == 2
    shown = capsys.readouterr().err
    assert "its model is tiny-h (" in shown
    assert "not peer at http" in shown


def test_ctrl_c_says_where_the_answers_are(tiny_folder, tmp_path, capsys, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("nvlm.evaluation.answering.LocalModel.__call__", interrupt)
    assert evaluate(tiny_folder, "--suite", "text/copy", "--limit", 1, "--out", tmp_path / "out") == 130
    assert f"the answers so far are in {tmp_path / 'out'}; the same command goes on" in capsys.readouterr().err


def test_a_damaged_picture_does_not_end_the_run(tiny_folder, sets, capsys):
    (sets / "nlvr/dev/images/4/dev-33-1-0.png").write_bytes(b"no picture")
    assert evaluate(tiny_folder, "--suite", "nlvr", "--data", sets) == 0
    assert "1 of 2 questions could not be asked and score 0" in capsys.readouterr().out


def test_a_set_cut_short_is_told(tiny_folder, sets, capsys):
    text(sets / "tabmwp/problems_dev1k.json", '{"33": {"question": "x"')
    assert evaluate(tiny_folder, "--suite", "tabmwp", "--data", sets) == 2
    assert "cut short" in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_get_the_scores_of_one(tiny_folder, sets, tmp_path):
    """Under torchrun, over gloo; about half a minute, mostly starting."""
    words = [
        str(tiny_folder),
        "--suite",
        "text/copy,chartqa,coco,nlvr",
        "--data",
        str(sets),
        "--limit",
        "7",
        "--batch",
        "2",
    ]
    assert evaluate(*words, "--out", tmp_path / "one") == 0
    start = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    command = [*start, "-m", "nvlm.cli.main", "eval", *words, "--out", str(tmp_path / "two")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    for name in ("text/copy", "chartqa", "coco", "nlvr"):
        one, two = (
            [json.loads(line) for line in (tmp_path / out / f"{name}.jsonl").read_text().splitlines()]
            for out in ("one", "two")
        )
        for record in (*one, *two):
            del record["seconds"]
        assert one == two
    assert done.stdout.count("chartqa (test)") == 1
    again = subprocess.run([*command[:-1], str(tmp_path / "one")], capture_output=True, text=True, timeout=300)
    assert again.returncode == 0, again.stderr
