import re

import pytest

from nvlm.data.synthetic.canvas import Drawing
from nvlm.data.synthetic.scenes import Thing, describe, plural
from nvlm.data.synthetic.words import kinds
from tests.data.synthetic.drawn import drawn_turns, shapes

SINGULAR = {plural(shape): shape for shape in kinds()["shapes"]}


def things(drawing: Drawing) -> list[Thing]:
    """The shapes in pixels, as far as marks tell."""
    width, height = drawing.image.size
    found = []
    for mark in shapes(drawing):
        x, y = (mark.box[0] + mark.box[2]) / 2 * width, (mark.box[1] + mark.box[3]) / 2 * height
        found.append(Thing(mark.colour, mark.word, x, y, (mark.box[2] - mark.box[0]) / 2 * width))
    return found


def test_counts_are_those_of_the_drawn_shapes():
    for drawing, turn in drawn_turns("count"):
        asked = turn.question.removeprefix("How many ").removesuffix(" are there?").split()
        colours = [word for word in asked if word in kinds()["colours"]]
        kind = [SINGULAR[word] for word in asked if word != "shapes" and word in SINGULAR]
        matching = [
            thing
            for thing in things(drawing)
            if (not colours or thing.colour in colours) and (not kind or thing.shape in kind)
        ]
        assert turn.answer == str(len(matching)), turn


def test_every_count_up_to_nine_occurs():
    assert {int(turn.answer) for _, turn in drawn_turns("count")} == set(range(1, 10))


def test_attributes_and_places_are_those_of_the_drawn_shapes():
    asked = [each for task in ("attribute", "caption") for each in drawn_turns(task)]
    for drawing, turn in asked:
        if turn.task == "scene/caption":
            continue
        found = things(drawing)
        names = [str(thing) for thing in found]
        assert len(set(names)) == len(names)
        match turn.task:
            case "scene/colour":
                assert [thing.colour for thing in found if thing.shape in turn.question.rstrip("?").split()] == [
                    turn.answer
                ]
            case "scene/shape":
                assert [thing.shape for thing in found if thing.colour in turn.question.rstrip("?").split()] == [
                    turn.answer
                ]
            case "scene/position":
                assert turn.answer == place(found, turn.question)
            case _:
                assert turn.answer == related(found, turn.question)


def place(found: list[Thing], question: str) -> str:
    match question.rstrip("?").split()[-1]:
        case "left":
            return str(min(found, key=lambda thing: thing.x))
        case "right":
            return str(max(found, key=lambda thing: thing.x))
        case "top":
            return str(min(found, key=lambda thing: thing.y))
        case _:
            return str(max(found, key=lambda thing: thing.y))


def related(found: list[Thing], question: str) -> str:
    parts = re.fullmatch(r"Is the (\w+ \w+) (left of|right of|above|below) the (\w+ \w+)\?", question)
    by_name = {str(thing): thing for thing in found}
    one, other = by_name[parts[1]], by_name[parts[3]]
    across = abs(one.x - other.x) > abs(one.y - other.y)
    assert across == parts[2].endswith("of")
    true = {"left of": one.x < other.x, "right of": one.x > other.x, "above": one.y < other.y, "below": one.y > other.y}
    return "yes" if true[parts[2]] else "no"


def test_yes_and_no_are_about_as_frequent():
    answers = [turn.answer for _, turn in drawn_turns("attribute") if turn.task == "scene/relation"]
    assert 0.4 < answers.count("yes") / len(answers) < 0.6


def test_captions_describe_the_drawn_shapes():
    for drawing, turn in drawn_turns("caption"):
        if turn.task == "scene/caption":
            assert turn.answer == describe(things(drawing))


RED, BLUE, ORANGE = (
    Thing("red", "circle", 10, 50, 5),
    Thing("blue", "square", 50, 40, 5),
    Thing("orange", "ring", 45, 90, 5),
)


@pytest.mark.parametrize(
    ("found", "caption"),
    [
        ([RED], "a red circle"),
        ([ORANGE], "an orange ring"),
        ([BLUE, RED], "a red circle left of a blue square"),
        ([ORANGE, BLUE], "a blue square above an orange ring"),
        ([BLUE, RED, ORANGE], "a red circle, an orange ring and a blue square"),
    ],
)
def test_there_is_one_correct_caption(found, caption):
    assert describe(found) == caption


@pytest.mark.parametrize("task", ["count", "attribute", "caption"])
def test_shapes_do_not_touch(task):
    for drawing, _ in drawn_turns(task):
        found = things(drawing)
        for number, one in enumerate(found):
            for other in found[:number]:
                assert max(abs(one.x - other.x), abs(one.y - other.y)) > one.radius + other.radius


@pytest.mark.parametrize("task", ["count", "attribute", "caption"])
def test_the_middle_of_a_shape_has_its_colour(task):
    from nvlm.data.synthetic.canvas import COLOURS

    for drawing, _ in drawn_turns(task):
        for thing in things(drawing):
            if thing.shape != "ring":
                assert drawing.image.getpixel((int(thing.x), int(thing.y))) == COLOURS[thing.colour]


def test_a_cross_has_a_plural_of_its_own():
    assert (plural("cross"), plural("star")) == ("crosses", "stars")
