"""What answers rest on, worked out again from what is drawn."""

import re

import pytest

from nvlm.data.synthetic.problem import Turn
from nvlm.data.synthetic.scoring import conclusion, is_right
from nvlm.data.synthetic.tasks import PICTURE_TASKS, TEXT_TASKS
from nvlm.data.synthetic.tokenizer import build_tokenizer
from nvlm.evaluation.nano_suite import NANO
from tests.data.synthetic.drawn import asked_relation, drawn_turns, turns
from tests.data.synthetic.test_tables import chart_rows, table_rows


def test_a_relation_follows_from_its_evidence():
    """Which names both things in their true order, as a caption does."""
    seen = set()
    for _, turn in drawn_turns("attribute"):
        if turn.task != "scene/relation":
            assert not turn.evidence
            continue
        said = re.fullmatch(r"an? (\w+ \w+) (left of|above) an? (\w+ \w+)", turn.evidence)
        assert said
        assert (said.groups() == asked_relation(turn.question)) == (turn.answer == "yes"), turn
        seen.add(turn.answer)
    assert seen == {"yes", "no"}


@pytest.mark.parametrize(("task", "rows_of"), [("table", table_rows), ("chart", chart_rows)])
def test_an_answer_about_a_listing_rests_on_its_rows(task, rows_of):
    for drawing, turn in drawn_turns(task):
        values = {label: str(value) for label, value in rows_of(drawing)}
        match turn.task.split("/")[1]:
            case "value":
                assert turn.evidence in turn.question and values[turn.evidence] == turn.answer, turn
            case "largest" | "smallest":
                assert turn.evidence == values[turn.answer], turn
            case "sum" | "difference":
                rows = [row.split() for row in turn.evidence.split(", ")]
                assert [values[label] for label, _ in rows] == [value for _, value in rows], turn
                assert [label in turn.question for label, _ in rows] == [True, True], turn
            case _:
                assert not turn.evidence


@pytest.mark.parametrize("task", ["receipt/price", "diagram/next", "diagram/previous"])
def test_what_is_looked_up_is_named_first(task):
    found = [turn for _, turn in drawn_turns(task.split("/")[0]) if turn.task == task]
    assert found and all(re.search(rf"\b{turn.evidence}\?$", turn.question) for turn in found)


def test_an_explained_answer_is_scored_by_its_conclusion():
    answers = []
    for task in PICTURE_TASKS:
        for _, turn in drawn_turns(task):
            assert conclusion(turn.explained) == turn.answer
            assert is_right(turn.explained, turn.answer)
            answers.append(turn.explained)
    longest = max(answers, key=len)
    assert 10 < len(build_tokenizer()(longest)["input_ids"]) < min(each.max_new_tokens for each in NANO.values())
    assert all(conclusion(turn.answer) == turn.answer for task in TEXT_TASKS for turn in turns(task))


def test_evidence_alone_is_no_answer():
    assert not is_right("root: 2", "3") and not is_right("3: 2", "3") and not is_right("root 3", "3")
    assert Turn("", "", "12").explained == "12"
