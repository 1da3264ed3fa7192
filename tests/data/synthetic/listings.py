"""The answers to questions about labelled values, worked out again from the labels and values alone."""

import re

Rows = list[tuple[str, int]]


def answer(rows: Rows, task: str, question: str) -> str:
    """The answer to a question of `nvlm.data.synthetic.listing`."""
    values = dict(rows)
    asked = [values[word] for word in re.findall(r"\w+", question) if word in values]
    match task.split("/")[1]:
        case "value":
            return str(asked[0])
        case "largest":
            return max(values, key=values.__getitem__)
        case "smallest":
            return min(values, key=values.__getitem__)
        case "sum":
            return str(asked[0] + asked[1])
        case "difference":
            assert asked[0] > asked[1]
            return str(asked[0] - asked[1])
        case "count":
            return str(len(rows))
        case other:
            raise AssertionError(f"unknown question {other}")


def check(rows: Rows) -> None:
    """Labels and values are distinct, so that every question has one answer."""
    assert len({label for label, _ in rows}) == len({value for _, value in rows}) == len(rows) >= 2
