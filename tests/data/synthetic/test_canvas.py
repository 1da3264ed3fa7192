import random

import numpy as np
import pytest

from nvlm.data.synthetic.canvas import COLOURS, FONTS, OUTLINES, TILE, Canvas, Layout, draw_layout, load_font
from nvlm.data.synthetic.splits import SPLITS, split_of

LAYOUT = Layout(2, 1, "DejaVuSans", 14, "plain")


def canvas(scale: float = 1.0, layout: Layout = LAYOUT) -> Canvas:
    return Canvas(layout, scale, (255, 255, 255), (0, 0, 0))


@pytest.mark.parametrize("scale", [1.0, 1.5, 3.0])
def test_pictures_are_layouts_in_pixels(scale):
    assert canvas(scale).finish().image.size == (2 * TILE * scale, TILE * scale)


@pytest.mark.parametrize("scale", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("font", FONTS)
def test_marks_stand_where_the_ink_is(font, scale):
    drawing_canvas = canvas(scale, Layout(2, 1, font, 14, "plain"))
    end = drawing_canvas.text(20, 10, "wave Max")
    drawing = drawing_canvas.finish()
    assert [mark.character for mark in drawing.marks] == list("waveMax")
    assert [mark.place for mark in drawing.marks] == [0, 1, 2, 3, 0, 1, 2]
    assert [mark.word for mark in drawing.marks] == ["wave"] * 4 + ["Max"] * 3
    dark = np.asarray(drawing.image).max(-1) < 128
    rows, columns = np.nonzero(dark)
    boxes = np.array([mark.box for mark in drawing.marks]) * [2 * TILE, TILE, 2 * TILE, TILE]
    assert boxes[0, 0] == pytest.approx(20) and boxes[-1, 2] == pytest.approx(end)
    assert boxes[0, 0] - 1 <= columns.min() / scale and columns.max() / scale <= boxes[-1, 2] + 1
    assert boxes[0, 1] - 1 <= rows.min() / scale and rows.max() / scale <= boxes[0, 3] + 1
    assert (boxes[:-1, 2] <= boxes[1:, 0] + 1e-6).all()


def test_marks_do_not_depend_on_the_resolution():
    """Up to the rounding of the font's size."""
    coarse, fine = canvas(1.0), canvas(2.0)
    for each in (coarse, fine):
        each.text(5, 5, "owl 42")
        each.shape("ring", "red", 100, 30, 9)
    for one, other in zip(coarse.marks, fine.marks, strict=True):
        assert one.box == pytest.approx(other.box, abs=0.01)
        assert (one.word, one.character, one.place, one.colour) == (
            other.word,
            other.character,
            other.place,
            other.colour,
        )


@pytest.mark.parametrize("kind", [*OUTLINES, "circle", "ring"])
@pytest.mark.parametrize("colour", COLOURS)
def test_shapes_fill_their_mark_with_their_colour(kind, colour):
    drawing_canvas = canvas(2.0)
    drawing_canvas.shape(kind, colour, 64, 32, 20)
    drawing = drawing_canvas.finish()
    (mark,) = drawing.marks
    assert (mark.word, mark.colour, mark.character) == (kind, colour, None)
    rows, columns = np.nonzero((np.asarray(drawing.image) == COLOURS[colour]).all(-1))
    left, top, right, bottom = np.array(mark.box) * [256, 128, 256, 128]
    assert (
        left - 2 <= columns.min()
        and columns.max() <= right + 2
        and columns.max() - columns.min() > 0.6 * (right - left)
    )
    assert top - 2 <= rows.min() and rows.max() <= bottom + 2 and rows.max() - rows.min() > 0.6 * (bottom - top)


def test_lines_and_boxes_leave_no_marks():
    drawing_canvas = canvas()
    drawing_canvas.line(1, 1, 50, 50)
    drawing_canvas.box((10, 10, 40, 40), fill=(9, 9, 9))
    assert drawing_canvas.finish().marks == []


def test_one_tile_pictures_stay_small():
    layout = Layout(1, 1, "DejaVuSans", 14, "plain")
    assert {Canvas.random(random.Random(seed), layout).image.size for seed in range(30)} == {(64, 64)}


def test_random_canvases_are_dark_on_light():
    for seed in range(100):
        drawn = Canvas.random(random.Random(seed), LAYOUT)
        assert min(drawn.background) >= 225 and max(drawn.ink) <= 90


@pytest.mark.parametrize("font", FONTS)
def test_shipped_fonts_have_every_printable_character(font):
    missing = load_font(font, 20).getmask("\ufffe").getbbox()
    for code in range(33, 127):
        assert load_font(font, 20).getmask(chr(code)).getbbox() is not None
    assert missing != load_font(font, 20).getmask("m").getbbox()


@pytest.mark.parametrize("split", SPLITS)
def test_layouts_belong_to_their_split_and_task(split):
    for seed in range(50):
        layout = draw_layout(random.Random(seed), split, "anything", ((2, 1), (3, 2)), (10, 12), ("a", "b"))
        assert split_of(f"anything {layout}") == split
        assert (layout.columns, layout.rows) in ((2, 1), (3, 2)) and 10 <= layout.size <= 12 and layout.style in "ab"
