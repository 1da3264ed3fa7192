import pytest

from nvlm.data.synthetic.tasks import questions
from nvlm.evaluation.nano_suite import GROUPS, NANO, run_suite
from nvlm.evaluation.runner import Job, run
from tests.evaluation.oracle import Oracle


def truths(split: str, count: int) -> dict[tuple[str, bytes], str]:
    return {
        (turn.question, b"".join(image.tobytes() for image in sample.images)): turn.answer
        for tasks in GROUPS.values()
        for task in tasks
        for sample, turn in questions(split, task, count)
    }


def test_an_oracle_gets_everything_right_and_a_mute_nothing():
    known = truths("test", 3)

    def oracle(asked):
        return [known[question, b"".join(image.tobytes() for image in images)] for question, images in asked]

    scores = run_suite(oracle, "test", 3, together=2, say=lambda line: None)
    assert {score.mean for score in scores.values()} == {1.0}
    assert all(scores[group].n == 3 * len(tasks) for group, tasks in GROUPS.items())
    assert {
        score.mean for score in run_suite(lambda asked: [""] * len(asked), "test", 2, say=lambda line: None).values()
    } == {0.0}


def test_every_question_is_asked_once_in_batches_of_the_size_asked_for():
    oracle = Oracle()
    outcome = run(Job(NANO["chart/largest"], "validation", limit=7), oracle, batch=3)
    assert [len(batch) for batch in oracle.batches] == [3, 3, 1]
    assert len(set(oracle.asked)) == 7
    assert outcome.score.mean == 1.0


def test_the_suite_names_every_kind_of_task_once():
    tasks = [task for group in GROUPS.values() for task in group]
    assert len(tasks) == len(set(tasks)) == len(NANO)


def test_text_tasks_have_no_pictures_and_the_others_have_one():
    for task in ("text/copy", "text/value", "read/word", "scene/caption"):
        question = next(Job(NANO[task], "test").questions())
        assert len(question.pictures) == (0 if NANO[task].text_only else 1)
        assert question.prompt.startswith("<image>\n") != NANO[task].text_only


def test_there_is_no_training_split_to_be_scored_on():
    with pytest.raises(ValueError, match="no split 'train'; there is test, validation"):
        NANO["text/copy"].check_split("train")
