import re

from tests.data.synthetic.drawn import Word, drawn_turns, words


def along(found: list[Word]) -> list[Word]:
    """The boxes as one reads them: from left to right if they stand in a row, else from the top."""
    in_a_row = len({round(word.box[1], 6) for word in found}) == 1
    return sorted(found, key=lambda word: word.box[0] if in_a_row else word.box[1])


def test_answers_follow_from_the_order_of_the_boxes():
    for drawing, turn in drawn_turns("diagram"):
        flow = [word.text for word in along(words(drawing))]
        assert 2 <= len(flow) == len(set(flow)) <= 5
        asked = [flow.index(word) for word in re.findall(r"\w+", turn.question) if word in flow]
        match turn.task:
            case "diagram/next":
                assert turn.answer == flow[asked[-1] + 1]
            case "diagram/previous":
                assert turn.answer == flow[asked[-1] - 1]
            case "diagram/first":
                assert turn.answer == flow[0]
            case "diagram/last":
                assert turn.answer == flow[-1]
            case _:
                assert turn.answer == str(len(flow))


def test_boxes_stand_in_rows_and_in_columns():
    ways = {len({round(word.box[1], 6) for word in words(drawing)}) == 1 for drawing, _ in drawn_turns("diagram")}
    assert ways == {True, False}
