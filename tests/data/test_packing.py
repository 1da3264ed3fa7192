"""The plan of rows: nothing lost, no budget exceeded, the same stream the same rows, and rows that are full."""

import json
import random
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvlm.data.packing import Budget, Key, Piece, RowPlanner, Size, cut, size_of
from nvlm.data.synthetic.problem import Problem
from nvlm.data.synthetic.tasks import PICTURE_TASKS, draw_problem, to_sample
from nvlm.data.synthetic.text import TEXT_TASKS
from nvlm.processing import NVLMProcessor
from nvlm.processing.tiling import Grid, choose_grid
from nvlm.recipes.nano.language import build_processor
from nvlm.recipes.nano.sizes import MAX_TILES, TILE_SIZE
from tests.processing.builders import assistant, picture, processor, user

Stream = list[tuple[Key, Size]]

sizes = st.builds(
    lambda tokens, memory, other: Size(tokens, memory, memory + other),
    st.integers(1, 120),
    st.integers(0, 6),
    st.integers(0, 3),
)
streams = st.lists(sizes, max_size=40).map(lambda found: list(enumerate(found)))
budgets = st.builds(Budget, st.integers(1, 150), st.none() | st.integers(0, 12), st.none() | st.integers(0, 15))
planners = st.builds(RowPlanner, budgets, st.integers(1, 12), st.sampled_from(["drop", "split"]))

unhurried = settings(deadline=None)


def another(planner: RowPlanner) -> RowPlanner:
    """A fresh planner with the same settings."""
    return RowPlanner(planner.budget, planner.lookahead, planner.too_long)


# What always holds --------------------------------------------------------------------------------


@unhurried
@given(planners, streams)
def test_every_sample_is_in_one_row_or_counted_as_too_long(planner: RowPlanner, stream: Stream) -> None:
    pieces = [piece for row in planner.rows(stream) for piece in row]
    placed: dict[Key, list[Piece]] = {}
    for piece in pieces:
        placed.setdefault(piece.key, []).append(piece)
    for key, size in stream:
        if planner.budget.holds(size):
            assert placed[key] == [Piece(key, 0, size.tokens)]
        elif planner.too_long == "split" and not size.views:
            own = sorted(placed[key], key=lambda piece: piece.first)
            assert [piece.first for piece in own] == [0, *(piece.last for piece in own[:-1])]
            assert own[-1].last == size.tokens
            assert len(own) == -(-size.tokens // planner.budget.tokens)
        else:
            assert key not in placed
    assert planner.report.samples == len(stream) == len(placed) + planner.report.too_long


@unhurried
@given(planners, streams)
def test_no_budget_is_exceeded_and_the_report_is_the_sum(planner: RowPlanner, stream: Stream) -> None:
    known, total, rows = dict(stream), Size(0), 0
    for row in planner.rows(stream):
        assert row
        own = [known[piece.key]._replace(tokens=piece.last - piece.first) for piece in row]
        taken = Size(*(sum(values) for values in zip(*own, strict=True)))
        assert planner.budget.holds(taken)
        total, rows = Size(*(sum(pair) for pair in zip(total, taken, strict=True))), rows + 1
    report = planner.report
    assert Size(report.tokens, report.memory_views, report.views) == total
    assert report.rows == rows
    assert report.fill == (total.tokens / (rows * planner.budget.tokens) if rows else 1.0)


@unhurried
@given(planners, streams)
def test_the_same_stream_gives_the_same_rows(planner: RowPlanner, stream: Stream) -> None:
    assert list(planner.rows(stream)) == list(another(planner).rows(iter(stream)))


@unhurried
@given(planners, streams, st.integers(0, 20))
def test_a_plan_goes_on_from_its_state_as_if_nothing_had_happened(
    planner: RowPlanner, stream: Stream, after: int
) -> None:
    wanted = list(another(planner).rows(stream))
    begun = list(islice(planner.rows(stream), after))
    state = json.loads(json.dumps(planner.state_dict()))
    resumed = another(planner)
    resumed.load_state_dict(state)
    assert begun + list(resumed.rows(stream[resumed.report.samples :])) == wanted


@unhurried
@given(planners, streams)
def test_whole_samples_wait_for_no_more_rows_than_the_lookahead(planner: RowPlanner, stream: Stream) -> None:
    """Rows between the one before which a sample was taken from the stream, and its own."""
    fitting = [(key, size) for key, size in stream if planner.budget.holds(size)]
    taken: dict[Key, int] = {}

    def watched() -> object:
        for key, size in fitting:
            taken[key] = planner.report.rows
            yield key, size

    for number, row in enumerate(planner.rows(watched())):
        for piece in row:
            assert number - taken[piece.key] <= planner.lookahead


# Examples -----------------------------------------------------------------------------------------


def plan(planner: RowPlanner, *found: Size) -> list[list[Key]]:
    return [[piece.key for piece in row] for row in planner.rows(enumerate(found))]


def test_a_row_begins_with_the_oldest_and_fills_up_with_the_largest_that_fit() -> None:
    assert plan(RowPlanner(Budget(10)), *map(Size, (4, 7, 1, 5, 3))) == [[0, 2, 3], [1, 4]]


def test_where_views_run_out_text_fills_the_row() -> None:
    """Pictures of 2 tokens and 4 views, texts of 8: largest first would put texts with texts and pictures apart."""
    pictures, texts = [Size(2, 4, 4)] * 3, [Size(8)] * 3
    assert plan(RowPlanner(Budget(10, memory_views=4)), *pictures, *texts) == [[0, 3], [1, 4], [2, 5]]


def test_every_budget_counts() -> None:
    for budget in (Budget(100, views=3), Budget(100, memory_views=2)):
        assert plan(RowPlanner(budget), *[Size(1, 1, 2)] * 3) == ([[0], [1], [2]] if budget.views else [[0, 1], [2]])


def test_texts_that_are_too_long_are_split_evenly_and_pictures_are_left_out() -> None:
    planner = RowPlanner(Budget(10), too_long="split")
    rows = list(planner.rows([("essay", Size(23)), ("picture", Size(11, 0, 1)), ("note", Size(2))]))
    assert rows == [
        [Piece("essay", 0, 7), Piece("note", 0, 2)],
        [Piece("essay", 7, 15)],
        [Piece("essay", 15, 23)],
    ]
    assert str(planner.report) == "3 samples in 3 rows of 10 tokens, 83.3% filled; 1 too long and left out, 1 split"


def test_what_is_too_long_is_left_out_and_counted() -> None:
    planner = RowPlanner(Budget(10, memory_views=2, views=3))
    assert plan(planner, Size(11), Size(1, 3, 3), Size(1, 0, 4), Size(10, 2, 3)) == [[3]]
    assert planner.report.too_long == 3


def test_wrong_settings_and_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="a row of 0 tokens holds no sample"):
        Budget(0)
    with pytest.raises(ValueError, match="budget of views is -1"):
        Budget(10, views=-1)
    with pytest.raises(ValueError, match="too_long is 'cut'; it must be 'drop' or 'split'"):
        RowPlanner(Budget(10), too_long="cut")
    with pytest.raises(ValueError, match="lookahead is 0"):
        RowPlanner(Budget(10), lookahead=0)
    with pytest.raises(ValueError, match="sample 'empty' has 0 tokens"):
        list(RowPlanner(Budget(10)).rows([("empty", Size(0))]))


def test_a_state_of_another_plan_is_refused() -> None:
    state = RowPlanner(Budget(10)).state_dict()
    with pytest.raises(ValueError, match=r"made with another tokens, lookahead \(10 there, 20 now\)"):
        RowPlanner(Budget(20), lookahead=8).load_state_dict(state)


def test_sizes_and_pieces_of_laid_out_samples() -> None:
    made_by = processor("H")
    tiled = made_by.layout([user(picture(2, 1), "What?"), assistant("red")], [(2, 1)])
    assert size_of(tiled) == Size(len(tiled), 2, 3)
    text = made_by.layout([user("What?"), assistant("red")])
    whole, part = cut(text, Piece("text", 0, len(text))), cut(text, Piece("text", 2, 5))
    assert whole is text
    assert part.input_ids.tolist() == text.input_ids[2:5].tolist()


# How full rows are --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def synthetic() -> dict[str, list[Size]]:
    """Sizes of the nano blend – two pictures to a text – for D, X and H: 60 samples drawn, then drawn from again."""
    problems = [draw_problem(PICTURE_TASKS, "train", "packing", index) for index in range(40)]
    texts = [draw_problem(TEXT_TASKS, "train", "packing", index) for index in range(20)]
    found = {}
    for architecture in "DXH":
        made_by = build_processor(architecture)
        drawn = [_size(made_by, problem, [_grid(problem)]) for problem in problems]
        drawn += [_size(made_by, problem, []) for problem in texts]
        found[architecture] = random.Random(0).choices(drawn, k=1500)
    return found


def _grid(problem: Problem) -> Grid:
    assert problem.drawing is not None
    return choose_grid(*problem.drawing.image.size, TILE_SIZE, MAX_TILES)


def _size(made_by: NVLMProcessor, problem: Problem, grids: list[Grid]) -> Size:
    return size_of(made_by.layout(to_sample(problem, "0").messages, grids))


@pytest.mark.parametrize(
    ("architecture", "budget"),
    [("D", Budget(1024)), ("X", Budget(512, memory_views=64)), ("H", Budget(512, memory_views=48))],
)
def test_rows_of_the_synthetic_blend_are_full(
    architecture: str, budget: Budget, synthetic: dict[str, list[Size]]
) -> None:
    planner = RowPlanner(budget)
    plan(planner, *synthetic[architecture])
    assert planner.report.fill >= 0.95
    assert planner.report.too_long == 0


def realistic(architecture: str, count: int) -> list[Size]:
    """A quarter text alone, the rest questions about one picture of 1 to 6 tiles, with the paper's sizes: 256 tokens a
    view, 5 a tag (sections 4.1 and 4.2). Lengths of texts are log-normal: median 330 alone, 90 beside a picture."""
    draw, found = random.Random(0), []
    for _ in range(count):
        if draw.random() < 0.25:
            found.append(Size(min(8 + int(draw.lognormvariate(5.8, 0.9)), 1800)))
            continue
        tiles = draw.choices(range(1, 7), [5, 3, 2, 3, 1, 6])[0]
        views = tiles + (tiles > 1)
        text = min(10 + int(draw.lognormvariate(4.5, 0.8)), 1300)
        found.append(
            {
                "D": Size(text + 261 * views, 0, views),
                "X": Size(text + 5 * views, views, views),
                "H": Size(text + 261, views - 1, views),
            }[architecture]
        )
    return found


@pytest.mark.parametrize(
    ("architecture", "budget"),
    [
        ("D", Budget(3200)),
        ("D", Budget(8192, views=40)),
        ("X", Budget(4096, memory_views=64)),  # where taking the largest first fills 90 %
        ("H", Budget(4096, memory_views=48)),
    ],
)
def test_rows_of_realistic_lengths_are_full(architecture: str, budget: Budget) -> None:
    planner = RowPlanner(budget)
    plan(planner, *realistic(architecture, 3000))
    assert planner.report.fill >= 0.98
    assert planner.report.too_long == 0
