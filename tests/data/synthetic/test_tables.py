import pytest

from nvlm.data.synthetic.canvas import Drawing
from nvlm.data.synthetic.tables import HEADERS
from tests.data.synthetic import listings
from tests.data.synthetic.drawn import drawn_turns, lines, words


def table_rows(drawing: Drawing) -> listings.Rows:
    pairs = [tuple(word.text for word in line) for line in lines(drawing)]
    assert not set(pairs[1:]) & set(HEADERS)
    return [(label, int(value)) for label, value in pairs if (label, value) not in HEADERS]


def chart_rows(drawing: Drawing) -> listings.Rows:
    """Label and value stand at one height, or above each other."""
    found = words(drawing)
    values = [word for word in found if word.text.isdecimal()]
    names = [word for word in found if not word.text.isdecimal()]
    if len(lines(drawing)) == len(names):
        return table_rows(drawing)
    near = [min(values, key=lambda value: abs(value.middle - name.middle)) for name in names]
    return [(name.text, int(value.text)) for name, value in zip(names, near, strict=True)]


@pytest.mark.parametrize(("task", "rows_of"), [("table", table_rows), ("chart", chart_rows)])
def test_answers_follow_from_what_is_drawn(task, rows_of):
    for drawing, turn in drawn_turns(task):
        rows = rows_of(drawing)
        listings.check(rows)
        assert turn.answer == listings.answer(rows, turn.task, turn.question), turn


def test_charts_lie_and_stand():
    ways = {len(lines(drawing)) == len(words(drawing)) // 2 for drawing, _ in drawn_turns("chart")}
    assert ways == {True, False}
