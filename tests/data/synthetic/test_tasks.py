import numpy as np
import pytest

from nvlm.data.synthetic.problem import Problem, Turn
from nvlm.data.synthetic.splits import SPLITS, generator
from nvlm.data.synthetic.tasks import PICTURE_TASKS, TASKS, TEXT_TASKS, TOLD_TASKS, draw_problem, questions, to_sample
from nvlm.processing.tiling import choose_grid
from tests.data.synthetic.drawn import problems

LISTED = ("value", "largest", "smallest", "sum", "difference", "count")
SCORED = (
    "read/word", "read/number", "read/line", "read/page", "read/nth_line", "read/count_lines",
    *(f"{where}/{what}" for where in ("table", "chart", "text") for what in LISTED),
    "receipt/total", "receipt/date", "receipt/shop", "receipt/count", "receipt/price",
    "scene/count", "scene/count_colour", "scene/count_shape", "scene/count_both",
    "scene/colour", "scene/shape", "scene/relation", "scene/position", "scene/caption",
    "diagram/next", "diagram/previous", "diagram/first", "diagram/last", "diagram/count",
    "text/recall", "text/copy", "text/reverse", "text/last_letter", "text/first_letter",
    "text/add", "text/subtract", "text/sort", "text/largest_number", "text/smallest_number",
    "text/count_words", "text/first_word", "text/last_word", "text/contains", "text/next_word",
    "text/count_colour", "text/count_all", "text/colour_of", "told/relation", "told/count",
)  # fmt: skip
"""Every name under which turns are scored."""
MOST = {"recall": 8, "told_count": 6}
"""Turns of a problem, where it may have more than four."""


def same(one: Problem, other: Problem) -> bool:
    if one.turns != other.turns or (one.drawing is None) != (other.drawing is None):
        return False
    if one.drawing is None or other.drawing is None:
        return True
    return one.drawing.marks == other.drawing.marks and np.array_equal(one.drawing.image, other.drawing.image)


@pytest.mark.parametrize("task", TASKS)
def test_the_same_index_gives_the_same_problem_in_any_order(task):
    make = TASKS[task][0]
    for split in SPLITS:
        for index in (40, 3, 0):
            assert same(make(generator(split, f"tests/{task}", index), split), problems(task, split)[index])


@pytest.mark.parametrize("task", TASKS)
def test_indices_and_splits_give_different_problems(task):
    found = [problem for split in SPLITS for problem in problems(task, split)[:20]]
    assert sum(same(one, other) for one in found for other in found) < 1.5 * len(found)


def test_a_stream_gives_the_same_problem_for_the_same_place():
    ordered = [draw_problem(TASKS, "train", "blend", index) for index in range(12)]
    for index in reversed(range(12)):
        assert same(draw_problem(TASKS, "train", "blend", index), ordered[index])


def test_a_stream_holds_every_task_of_its_blend():
    turns = [turn.task for index in range(400) for turn in draw_problem(TASKS, "train", "blend", index).turns]
    families = {"read", "table", "chart", "receipt", "scene", "diagram", "text", "told"}
    assert {name.split("/")[0] for name in turns} == families


@pytest.mark.parametrize("task", TASKS)
def test_every_problem_asks_something_and_answers_it(task):
    for split in SPLITS:
        for problem in problems(task, split):
            assert (problem.drawing is not None) == (task in PICTURE_TASKS)
            assert 1 <= len(problem.turns) <= MOST.get(task, 4)
            assert all(turn.question.strip() and turn.answer.strip() == turn.answer != "" for turn in problem.turns)
            assert len({turn.question for turn in problem.turns}) == len(problem.turns)
            assert {turn.task for turn in problem.turns} <= set(SCORED)


@pytest.mark.parametrize("task", PICTURE_TASKS)
def test_more_questions_come_after_those_that_are_asked_and_none_twice(task):
    more = 0
    for split in SPLITS:
        for problem in problems(task, split):
            asked = problem.asked(8)
            assert asked.turns[: len(problem.turns)] == problem.turns
            assert len(problem.turns) <= len(asked.turns) <= 8
            assert len({turn.question for turn in asked.turns}) == len(asked.turns)
            assert asked.drawing is problem.drawing
            assert problem.asked(1) == problem
            more += len(asked.turns) - len(problem.turns)
    assert (more == 0) == (task in ("word", "number", "line"))


def test_every_scored_name_occurs():
    assert {
        turn.task for task in TASKS for split in SPLITS for problem in problems(task, split) for turn in problem.turns
    } == set(SCORED)


@pytest.mark.parametrize("task", PICTURE_TASKS)
def test_everything_drawn_stays_inside_the_picture(task):
    for split in SPLITS:
        for problem in problems(task, split):
            boxes = np.array([mark.box for mark in problem.drawing.marks])
            assert boxes.min() > -0.01 and boxes.max() < 1.01
            assert (boxes[:, 2:] > boxes[:, :2]).all()


@pytest.mark.parametrize("task", PICTURE_TASKS)
def test_something_is_visible_at_every_mark(task):
    """The pixels of a mark are not all of one colour."""
    for split in SPLITS:
        for problem in problems(task, split)[:40]:
            image = np.asarray(problem.drawing.image)
            height, width = image.shape[:2]
            for mark in problem.drawing.marks:
                left, top, right, bottom = mark.box
                patch = image[
                    int(top * height) : int(np.ceil(bottom * height)), int(left * width) : int(np.ceil(right * width))
                ]
                assert np.ptp(patch, axis=(0, 1)).max() > 30, mark


@pytest.mark.parametrize("task", PICTURE_TASKS)
def test_pictures_are_tiled_in_whole_tiles_of_at_most_six(task):
    """The tiling recovers the layout: the picture's sides have the ratio of its grid, so no glyph is stretched."""
    for split in SPLITS:
        for problem in problems(task, split):
            width, height = problem.drawing.image.size
            columns, rows = choose_grid(width, height, 64, 6)
            assert columns * rows <= 6
            assert width / columns == height / rows


def test_a_sample_shows_its_picture_in_the_first_turn():
    problem = next(problem for problem in problems("table", "train") if len(problem.turns) > 1)
    sample = to_sample(problem, "some/id")
    assert (sample.id, sample.source, sample.task) == ("some/id", "synthetic", problem.turns[0].task)
    assert sample.images == [problem.drawing.image]
    assert sample.messages[:3] == [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": problem.turns[0].question}]},
        {"role": "assistant", "content": problem.turns[0].answer},
        {"role": "user", "content": problem.turns[1].question},
    ]
    assert len(sample.messages) == 2 * len(problem.turns)


def test_a_text_only_sample_has_no_picture():
    sample = to_sample(Problem([Turn("text/copy", "Copy: a", "a")]), "id")
    assert sample.images == []
    assert sample.messages == [{"role": "user", "content": "Copy: a"}, {"role": "assistant", "content": "a"}]


@pytest.mark.parametrize(
    "task", ["read/word", "table/largest", "receipt/total", "scene/count_both", "diagram/next", "text/sum"]
)
def test_questions_are_single_and_about_different_pictures(task):
    found = list(questions("test", task, 12))
    assert len({sample.id for sample, _ in found}) == 12
    for sample, turn in found:
        assert sample.task == turn.task == task
        assert [message["role"] for message in sample.messages] == ["user", "assistant"]
        assert sample.messages[1]["content"] == turn.answer
    again = [turn for _, turn in questions("test", task, 12)]
    assert again == [turn for _, turn in found]


@pytest.mark.parametrize("task", ["text/value", "text/recall"])
def test_a_later_question_about_a_written_list_comes_with_the_list(task):
    for sample, turn in questions("validation", task, 30):
        assert "\n" in turn.question
        assert turn.answer in turn.question.rpartition("\n")[0]
        assert sample.messages[0]["content"] == turn.question


def test_an_unknown_task_is_named():
    with pytest.raises(ValueError, match="no synthetic task is called 'read/minds'"):
        next(questions("test", "read/minds", 1))


def test_weights_are_positive():
    assert all(weight > 0 for _, weight in TASKS.values())
    assert len(TASKS) == len(PICTURE_TASKS) + len(TEXT_TASKS) + len(TOLD_TASKS)
