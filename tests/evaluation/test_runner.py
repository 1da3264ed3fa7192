"""One toy benchmark: batches, resume, several processes, what cannot be asked."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from nvlm.evaluation.answers import said
from nvlm.evaluation.benchmark import Benchmark, Graded, Layout, Question
from nvlm.evaluation.ranks import Ranks
from nvlm.evaluation.reading import lines
from nvlm.evaluation.runner import Answer, Job, run
from tests.evaluation.oracle import Mute, Oracle


def question(row) -> Question:
    return Question(row["id"], (f"Say {row['id']}.",), row["id"], ("even" if row["n"] % 2 == 0 else "odd",))


TOY = Benchmark(
    name="toy",
    origin="nowhere",
    licence="none",
    citation="none",
    splits={"test": (Layout("rows.jsonl", lambda files: lines(files[0])),)},
    question=question,
    extraction="all of it",
    grade=lambda answer, truth: Graded(float(answer == truth), said(answer)),
    metric="exact",
    prompt="ours",
)


@pytest.fixture
def job(tmp_path) -> Job:
    rows = [{"id": f"q{number}", "n": number} for number in range(10)]
    (tmp_path / "data").mkdir()
    (tmp_path / "data/rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Job(TOY, "test", TOY.find("test", tmp_path / "data"))


def test_every_question_is_asked_once_in_order_and_scored(job):
    oracle = Oracle()
    outcome = run(job, oracle, batch=4)
    assert [len(batch) for batch in oracle.batches] == [4, 4, 2]
    assert oracle.asked == [f"q{number}" for number in range(10)]
    assert (outcome.score.mean, outcome.score.n, outcome.tokens) == (1.0, 10, 20)
    assert {group: score.n for group, score in outcome.groups.items()} == {"even": 5, "odd": 5}
    assert (outcome.unread, outcome.failed) == (0, 0)


def test_a_record_tells_everything(job, tmp_path):
    run(job, Oracle(), folder=tmp_path / "out")
    first = json.loads((tmp_path / "out/toy.jsonl").read_text().splitlines()[0])
    assert first.pop("seconds") >= 0
    assert first == {
        "index": 0, "id": "q0", "groups": ["even"], "prompt": "Say q0.", "pictures": [], "reference": "q0",
        "answer": "q0", "parsed": "q0", "score": 1.0, "tokens": 2,
    }  # fmt: skip


def test_a_limit_takes_the_first(job):
    outcome = run(replace(job, limit=3), Oracle())
    assert list(outcome.scores) == ["q0", "q1", "q2"]


class Killed(Exception):
    pass


class Dying(Oracle):
    """Answers some batches and is killed in the next."""

    def __init__(self, batches: int) -> None:
        super().__init__()
        self.left = batches

    def __call__(self, questions, benchmark):
        if not self.left:
            raise Killed
        self.left -= 1
        return super().__call__(questions, benchmark)


def test_killed_and_started_again_nothing_is_asked_twice(job, tmp_path):
    dying, second = Dying(2), Oracle()
    with pytest.raises(Killed):
        run(job, dying, batch=3, folder=tmp_path / "out")
    path = tmp_path / "out/toy.jsonl"
    path.write_text(path.read_text() + '{"index": 6, "id": "q6"')  # the kill tore a line
    resumed = run(job, second, batch=3, folder=tmp_path / "out")
    assert sorted(dying.asked + second.asked) == [f"q{number}" for number in range(10)]
    assert resumed.score == run(job, Oracle(), batch=3).score
    third = Oracle()
    run(job, third, batch=3, folder=tmp_path / "out")
    assert third.asked == []


def test_a_larger_limit_asks_only_the_rest_and_a_smaller_one_scores_fewer(job, tmp_path):
    run(replace(job, limit=4), Oracle(), folder=tmp_path / "out")
    more = Oracle()
    assert run(replace(job, limit=6), more, folder=tmp_path / "out").score.n == 6
    assert more.asked == ["q4", "q5"]
    assert run(replace(job, limit=2), Oracle(), folder=tmp_path / "out").score.n == 2


def test_answers_to_other_questions_are_not_taken_for_these(job, tmp_path):
    run(job, Oracle(), folder=tmp_path / "out")
    changed = replace(job, benchmark=replace(TOY, question=lambda row: Question(row["id"], ("Else?",), row["id"])))
    with pytest.raises(ValueError, match=r"q0 differs.*another --out"):
        run(changed, Oracle(), folder=tmp_path / "out")


@pytest.mark.parametrize("count", [2, 3, 7])
def test_several_processes_ask_the_same_batches_and_get_the_same_scores(job, tmp_path, count):
    alone = Oracle()
    expected = run(job, alone, batch=3)
    oracles = [Oracle() for _ in range(count)]
    for rank in reversed(range(count)):  # in turn: the first process is the last to arrive, and brings them together
        outcome = run(job, oracles[rank], batch=3, folder=tmp_path / "out", ranks=Ranks(rank, count))
    assert sorted(batch for oracle in oracles for batch in oracle.batches) == sorted(alone.batches)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["toy.jsonl"]
    assert (outcome.score, outcome.groups, outcome.scores) == (expected.score, expected.groups, expected.scores)
    single = Oracle()
    run(job, single, batch=3, folder=tmp_path / "out")
    assert single.asked == []


def test_mute_answers_are_counted_as_unread(job):
    outcome = run(job, Mute())
    assert (outcome.score.mean, outcome.unread) == (0.0, 10)


class Picky(Oracle):
    """Refuses some questions, as a model does whose picture is broken."""

    def __init__(self, *bad: str) -> None:
        super().__init__()
        self.bad = bad

    def __call__(self, questions, benchmark):
        for each in questions:
            if each.id in self.bad:
                raise ValueError(f"the picture of {each.id} is broken")
        return super().__call__(questions, benchmark)


def test_a_question_that_cannot_be_asked_scores_zero_and_spoils_no_other(job, tmp_path):
    picky = Picky("q1")
    outcome = run(job, picky, batch=4, folder=tmp_path)
    assert (outcome.failed, outcome.score.n, outcome.score.mean) == (1, 10, 0.9)
    assert sorted(picky.asked) == sorted(f"q{number}" for number in range(10) if number != 1)
    kept = [json.loads(line) for line in (tmp_path / "toy.jsonl").read_text().splitlines()]
    assert kept[1]["error"] == "the picture of q1 is broken"


def test_where_no_question_can_be_asked_the_run_stops(job, tmp_path):
    with pytest.raises(ValueError, match="the picture of q0 is broken"):
        run(job, Picky(*(f"q{number}" for number in range(10))), batch=4, folder=tmp_path)
    assert not (tmp_path / "toy.jsonl").exists()


def test_one_of_a_suite_that_cannot_be_asked_at_all_has_no_score_and_stops_nothing(job, tmp_path):
    picky = Picky(*(f"q{number}" for number in range(10)))
    outcome = run(replace(job, optional=True), picky, batch=4, folder=tmp_path)
    assert (outcome.score, outcome.scores, outcome.groups) == (None, {}, {})
    assert (outcome.failed, outcome.asked, outcome.fault) == (10, 10, "the picture of q0 is broken")
    assert outcome.submission is None


def test_what_else_is_known_of_an_answer_is_kept(job, tmp_path):
    def grade(answer: str, truth: str) -> Graded:
        return Graded(float(answer == truth), answer, None if answer == truth else "ValueError", {"strict": 0.5})

    def answerer(questions, benchmark):
        if questions[0].id == "q2":
            raise ValueError("too long")
        return [Answer("q0", 1, {"q0": -0.1, "q1": -2.4}) for _ in questions]

    rich = replace(job, benchmark=replace(TOY, grade=grade), limit=3)
    outcome = run(rich, answerer, batch=1, folder=tmp_path)
    first, second, third = (json.loads(line) for line in (tmp_path / "toy.jsonl").read_text().splitlines())
    assert (first["likelihoods"], first["also"]) == ({"q0": -0.1, "q1": -2.4}, {"strict": 0.5})
    assert "reason" not in first
    assert (second["reason"], third["error"]) == ("ValueError", "too long")
    assert (outcome.chosen, outcome.failed, outcome.fault) == (2, 1, "too long")
    assert outcome.beside["strict"].mean == pytest.approx(1 / 3)  # what could not be asked counts there as well
    assert outcome.beside["strict"].n == 3


def test_answers_scored_together_get_their_scores_at_the_end(job, tmp_path):
    together = replace(
        TOY,
        grade=lambda answer, truth: Graded(None, said(answer)),
        corpus=lambda pairs: [float(len(pairs)) for _ in pairs],
    )
    outcome = run(replace(job, benchmark=together), Oracle(), folder=tmp_path)
    assert (outcome.score.mean, outcome.score.interval) == (10.0, "bootstrap")
    assert json.loads((tmp_path / "toy.jsonl").read_text().splitlines()[3])["score"] == 10.0


def test_a_split_without_references_has_something_to_submit_and_no_score(job):
    blind = replace(TOY, grade=lambda answer, truth: Graded(None, said(answer)), submission=dict)
    outcome = run(replace(job, benchmark=blind, limit=2), Oracle())
    assert outcome.score is None
    assert outcome.submission == {"q0": "q0", "q1": "q1"}


def test_a_set_that_is_generated_is_not_drawn_to_be_counted():
    drawn = []

    def made(split: str) -> Iterator[Question]:
        for number in range(100):
            drawn.append(number)
            yield Question(f"{split}/{number}", ("?",), "x")

    outcome = run(Job(replace(TOY, made=made, default_limit=5), "test"), Oracle(), batch=2)
    assert (outcome.score.n, drawn) == (5, [0, 1, 2, 3, 4])


def test_an_answer_more_or_less_is_our_own_mistake(job):
    with pytest.raises(ValueError, match="zip"):
        run(job, lambda questions, benchmark: [Answer("x", 1)], batch=4)
