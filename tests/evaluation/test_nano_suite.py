from nvlm.data.synthetic.tasks import questions
from nvlm.evaluation.nano_suite import GROUPS, answer_task, run_suite


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
    sizes = []

    def ask(asked):
        sizes.append(len(asked))
        return ["?"] * len(asked)

    answered = list(answer_task(ask, "chart/largest", "validation", 7, together=3))
    assert sizes == [3, 3, 1]
    assert len({each.question for each in answered}) > 1 or len(answered) == 7


def test_the_suite_names_every_kind_of_task_once():
    tasks = [task for group in GROUPS.values() for task in group]
    assert len(tasks) == len(set(tasks))
