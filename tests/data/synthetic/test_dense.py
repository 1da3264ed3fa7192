import numpy as np
import pytest

from nvlm.data.synthetic.canvas import COLOURS, Canvas, Layout, Mark
from nvlm.data.synthetic.dense import HEADS, IGNORED, LONGEST_WORD, dense_labels
from nvlm.data.synthetic.tasks import PICTURE_TASKS
from nvlm.data.synthetic.words import kinds
from nvlm.processing.tiling import choose_grid
from tests.data.synthetic.drawn import problems

TILE, PATCH = 64, 8
GRID = TILE // PATCH


def labels_of(marks: list[Mark], columns: int, rows: int) -> dict[str, np.ndarray]:
    return dense_labels(marks, columns, rows, TILE, PATCH)


def patch(x: int, y: int, columns: int, rows: int, **mark: object) -> Mark:
    """A mark that covers exactly the patch at (x, y) of the whole sheet of patches."""
    wide, high = columns * GRID, rows * GRID
    return Mark((x / wide, y / high, (x + 1) / wide, (y + 1) / high), **mark)


@pytest.mark.parametrize("task", PICTURE_TASKS)
def test_every_view_has_a_grid_of_known_classes_for_every_head(task):
    for problem in problems(task, "validation")[:15]:
        columns, rows = choose_grid(*problem.drawing.image.size, TILE, 6)
        views = columns * rows + (columns * rows > 1)
        labels = labels_of(problem.drawing.marks, columns, rows)
        assert labels.keys() == HEADS.keys()
        for name, values in labels.items():
            assert values.shape == (views, GRID, GRID)
            assert values.dtype == np.int64
            assert ((values >= 0) & (values < HEADS[name]) | (values == IGNORED)).all()
        assert (labels["word"][: columns * rows] > 0).any()


def test_no_marks_means_nothing_anywhere():
    assert all(not values.any() for values in labels_of([], 3, 2).values())


def test_a_patch_inside_a_big_glyph_is_labelled_with_its_character():
    canvas = Canvas(Layout(2, 1, "DejaVuSans", 48, "plain"), 1.0, (255, 255, 255), (0, 0, 0))
    canvas.text(2, 2, "owl")
    labels = labels_of(canvas.marks, 2, 1)
    for place, mark in enumerate(canvas.marks, 1):
        x, y = (mark.box[0] + mark.box[2]) / 2 * 2 * GRID, (mark.box[1] + mark.box[3]) / 2 * GRID
        at = int(x) // GRID, int(y), int(x) % GRID
        assert labels["character"][at] == ord(mark.character)
        assert labels["place"][at] == place
        assert labels["word"][at] >= 2
        assert labels["colour"][at] == 0
    assert len({int(label) for label in labels["word"][:2].flatten()} - {0}) == 1


def test_a_shape_is_labelled_with_its_name_and_colour():
    labels = labels_of([patch(1, 2, 1, 1, word="star", colour="blue")], 1, 1)
    assert labels["colour"][0, 2, 1] == 1 + list(COLOURS).index("blue")
    assert labels["word"][0, 2, 1] >= 2
    assert labels["character"][0, 2, 1] == labels["place"][0, 2, 1] == 0
    assert np.count_nonzero(labels["word"]) == 1


def word_class(word: str, place: int = 0) -> int:
    labels = labels_of([patch(0, 0, 1, 1, word=word, character=word[place], place=place)], 1, 1)
    return int(labels["word"][0, 0, 0])


def test_words_of_the_vocabulary_have_classes_of_their_own():
    every = sorted({word for words in kinds().values() for word in words})
    assert [word_class(word) for word in every] == list(range(2, 2 + len(every)))
    assert word_class("unheard") == 1


def test_digits_have_the_class_of_their_token():
    """12345 is cut into 12, 34 and 5, and only 12 begins a word."""
    pairs = [word_class("12345", place) for place in range(5)]
    assert pairs[0] == pairs[1] == word_class("12")
    assert pairs[2] == pairs[3] == word_class("9934", 2) != word_class("34")
    assert pairs[4] != word_class("5")
    assert word_class("9.99", 1) == 1
    assert len({word_class(f"{number}") for number in range(100)}) == 100


@pytest.mark.parametrize(("x", "y", "view"), [(0, 0, 0), (10, 3, 1), (23, 7, 2), (4, 8, 3), (12, 15, 4), (16, 8, 5)])
def test_labels_stand_in_the_tile_they_belong_to(x, y, view):
    """Tiles are numbered row by row in a grid of three columns and two rows."""
    labels = labels_of([patch(x, y, 3, 2, word="cat", character="c")], 3, 2)["character"]
    assert np.argwhere(labels[:6]).tolist() == [[view, y % GRID, x % GRID]]


def test_labels_move_with_the_grid():
    marks = [patch(12, 3, 4, 1, word="square", colour="red")]
    for columns, rows, expected in ((4, 1, [1, 3, 4]), (2, 1, [0, 3, 6]), (1, 1, [0, 3, 3])):
        found = np.argwhere(labels_of(marks, columns, rows)["colour"][: columns * rows] > 0).tolist()
        assert found == [expected]


def test_the_thumbnail_comes_last_and_shows_everything():
    marks = [
        Mark((0.0, 0.0, 0.25, 0.25), "square", colour="red"),
        Mark((0.75, 0.75, 1.0, 1.0), "circle", colour="blue"),
    ]
    labels = labels_of(marks, 3, 2)["colour"]
    thumbnail = labels[-1]
    assert (thumbnail[:2, :2] == 1 + list(COLOURS).index("red")).all()
    assert (thumbnail[6:, 6:] == 1 + list(COLOURS).index("blue")).all()
    assert np.count_nonzero(thumbnail) == 8


def test_one_tile_has_no_thumbnail():
    assert labels_of([], 1, 1)["word"].shape == (1, GRID, GRID)


def test_characters_too_low_to_read_are_ignored_in_the_thumbnail_only():
    height = 10 / (3 * TILE)
    marks = [
        Mark((0.5, 0.5, 0.6, 0.5 + height), "cat", "c", 0),
        Mark((0.1, 0.1, 0.2, 0.1 + height), "star", colour="red"),
    ]
    labels = labels_of(marks, 1, 3)
    assert ord("c") in labels["character"][:3]
    assert IGNORED not in labels["character"][:3]
    assert IGNORED in labels["character"][3]
    assert ord("c") not in labels["character"][3]
    assert 1 in labels["colour"][3]


def test_a_patch_shows_what_covers_most_of_it():
    low = Mark((0, 0, 0.7 / GRID, 1 / GRID), "cat", "a", 0)
    rest = Mark((0.7 / GRID, 0, 1 / GRID, 1 / GRID), "cat", "b", 1)
    for marks in ([low, rest], [rest, low]):
        assert labels_of(marks, 1, 1)["character"][0, 0, 0] == ord("a")


def test_a_sliver_of_a_mark_is_nothing():
    assert not labels_of([Mark((0, 0, 0.09 / GRID, 1 / GRID), "cat", "c", 0)], 1, 1)["character"].any()


def test_places_beyond_the_longest_word_share_a_class():
    labels = labels_of([patch(0, 0, 1, 1, word="x" * 50, character="x", place=40)], 1, 1)
    assert labels["place"][0, 0, 0] == LONGEST_WORD == HEADS["place"] - 1


def test_marks_outside_the_picture_are_cut_off():
    labels = labels_of(
        [Mark((-0.5, -0.5, 0.05, 0.05), "cat", "c", 0), Mark((0.99, 0.99, 3.0, 3.0), "cat", "t", 2)], 1, 1
    )
    assert np.count_nonzero(labels["character"]) <= 1
