import random
import re
from collections import Counter
from collections.abc import Callable
from itertools import combinations

import pytest

from nvlm.data.synthetic.canvas import Canvas, Layout, draw_layout
from nvlm.data.synthetic.splits import SPLITS, Split, draw, generator, split_of
from nvlm.data.synthetic.tasks import PICTURE_TASKS, TASKS
from nvlm.data.synthetic.words import kinds
from tests.data.synthetic.drawn import lines, problems, shapes, texts, words


def test_eight_in_ten_keys_belong_to_train_and_one_each_to_the_others():
    found = Counter(split_of(f"key {number}") for number in range(20_000))
    assert found["train"] / 20_000 == pytest.approx(0.8, abs=0.02)
    assert found["validation"] / 20_000 == pytest.approx(0.1, abs=0.01)
    assert found["test"] / 20_000 == pytest.approx(0.1, abs=0.01)


def test_the_split_of_a_key_never_changes():
    """Models were trained on these; another hash would put held-out values into training."""
    assert [split_of(f"number {number}") for number in (301, 302, 303, 306, 309, 313)] == [
        "train", "validation", "train", "validation", "test", "test",
    ]  # fmt: skip


def test_draw_gives_only_values_of_the_split():
    rng = random.Random(0)
    for split in SPLITS:
        drawn = {draw(lambda: rng.randint(0, 10**6), str, split) for _ in range(300)}
        assert {split_of(str(value)) for value in drawn} == {split}


def test_a_task_with_too_few_values_is_an_error():
    held = next(split for split in ("validation", "test") if split_of("only") != split)
    with pytest.raises(RuntimeError, match=f"none of 5 draws belongs to the {held} split; last key: 'only'"):
        draw(lambda: "only", str, held, tries=5)


def test_generators_differ_by_split_task_and_index():
    places = [(split, task, index) for split in SPLITS for task in ("a", "b") for index in range(50)]
    assert len({generator(*place).random() for place in places}) == len(places)


Values = Callable[[str, Split], set[str]]


def _numbers(task: str, split: Split) -> set[str]:
    return {turn.answer for problem in problems(task, split) for turn in problem.turns if len(turn.answer) > 2}


def _lines(task: str, split: Split) -> set[str]:
    return {text for problem in problems(task, split) for text in texts(problem.drawing)}


def _pairs(task: str, split: Split) -> set[str]:
    rows = (line for problem in problems(task, split) for line in texts(problem.drawing))
    return {row for row in rows if re.fullmatch(r"\w+ \d+", row)}


def _prices(task: str, split: Split) -> set[str]:
    rows = (
        " ".join(word.text for word in line)
        for problem in problems(task, split)
        for line in lines(problem.drawing)[2:-1]
    )
    return {row for row in rows if re.fullmatch(r"\w+ \d+\.\d\d", row)}


def _dates(task: str, split: Split) -> set[str]:
    return {
        word.text
        for problem in problems(task, split)
        for word in words(problem.drawing)
        if re.match(r"20\d\d-", word.text)
    }


def _flows(task: str, split: Split) -> set[str]:
    return {" ".join(word.text for word in words(problem.drawing)[:2]) for problem in problems(task, split)}


def _scenes(task: str, split: Split) -> set[str]:
    named = ([f"{mark.colour} {mark.word}" for mark in shapes(problem.drawing)] for problem in problems(task, split))
    return {str(sorted(names[:2])) for names in named if len(names) > 1}


def _questions(*tasks: str) -> Values:
    def found(task: str, split: Split) -> set[str]:
        return {turn.question for problem in problems(task, split) for turn in problem.turns if turn.task in tasks}

    return found


def _long_lines(task: str, split: Split) -> set[str]:
    answers = (turn.answer for problem in problems(task, split) for turn in problem.turns)
    return {answer for answer in answers if answer.count(" ") > 1}


def _written_pairs(task: str, split: Split) -> set[str]:
    shown = (problem.turns[0].question.rpartition("\n")[0] for problem in problems(task, split))
    return {" ".join(row) for text in shown for row in re.findall(r"(\w+)(?: is |: | )(\d+)", text)}


def _recalled(task: str, split: Split) -> set[str]:
    shown = (problem.turns[0].question.rpartition("\n")[0] for problem in problems(task, split))
    return {" ".join(row) for text in shown for row in re.findall(r"(\w+)(?: is |: | )(\w+)", text)}


def _strings(task: str, split: Split) -> set[str]:
    """Made-up strings, spelled in small letters, and no words."""
    words = {word for listed in kinds().values() for word in listed}
    shown = (turn.question.partition(": ")[2] for problem in problems(task, split) for turn in problem.turns)
    return {item for text in shown for item in re.findall(r"\b[a-z]{2,5}\b", text) if item not in words}


def _word_lines(task: str, split: Split) -> set[str]:
    return {turn.question.partition("? ")[2] for problem in problems(task, split) for turn in problem.turns}


def _smallest(task: str, split: Split) -> set[str]:
    """The smallest three of the numbers that are sorted or chosen from."""
    asked = [turn.question for problem in problems(task, split) for turn in problem.turns]
    return {str(sorted(map(int, re.findall(r"\d+", question)))[:3]) for question in asked}


@pytest.mark.parametrize(
    ("task", "values"),
    [
        ("number", _numbers),
        ("line", _lines),
        ("page", _lines),
        ("table", _pairs),
        ("chart", _pairs),
        ("receipt", _prices),
        ("receipt", _dates),
        ("diagram", _flows),
        ("attribute", _scenes),
        ("caption", _scenes),
        ("recall", _recalled),
        ("copy", _long_lines),
        ("copy", _strings),
        ("reverse", _strings),
        ("strings", _word_lines),
        ("last_letter", _questions("text/last_letter", "text/first_letter")),
        ("add", _questions("text/add")),
        ("sort", _smallest),
        ("lookup", _written_pairs),
    ],
)
def test_no_value_of_a_task_is_in_two_splits(task, values):
    found = {split: values(task, split) for split in SPLITS}
    assert all(len(drawn) > 40 for drawn in found.values())
    for one, other in combinations(SPLITS, 2):
        assert not found[one] & found[other]


def test_every_difference_belongs_to_one_split():
    """There are a hundred, too few for the test above to count them."""
    found = [_questions("text/subtract")("add", split) for split in SPLITS]
    assert all(len(drawn) > 3 for drawn in found)
    assert sum(map(len, found)) == len(set.union(*found)) <= 100


def test_labels_and_values_are_held_out_from_lists_tables_and_charts_alike():
    for one, other in combinations(SPLITS, 2):
        drawn = _pairs("table", one) | _pairs("chart", one) | _written_pairs("lookup", one)
        assert not drawn & (_pairs("table", other) | _pairs("chart", other) | _written_pairs("lookup", other))


@pytest.mark.parametrize("task", PICTURE_TASKS)
def test_whole_layouts_are_held_out(task, monkeypatch):
    seen: dict[Split, set[Layout]] = {split: set() for split in SPLITS}
    random_canvas = Canvas.random

    for split in SPLITS:

        def record(rng: random.Random, layout: Layout, seen_here: set[Layout] = seen[split]) -> Canvas:
            seen_here.add(layout)
            return random_canvas(rng, layout)

        monkeypatch.setattr(Canvas, "random", record)
        for index in range(60):
            TASKS[task][0](generator(split, f"layouts/{task}", index), split)
    for one, other in combinations(SPLITS, 2):
        assert not seen[one] & seen[other]


def test_every_font_and_nearly_every_grid_is_in_every_split():
    for split in SPLITS:
        layouts = [draw_layout(random.Random(index), split, "word") for index in range(1500)]
        assert len({(layout.columns, layout.rows) for layout in layouts}) >= 13
        assert len({layout.font for layout in layouts}) == 4
