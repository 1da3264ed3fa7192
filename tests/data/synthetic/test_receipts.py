import re
from decimal import Decimal

from tests.data.synthetic.drawn import drawn_turns, texts


def test_answers_follow_from_what_is_drawn():
    for drawing, turn in drawn_turns("receipt"):
        shop, date, *items, last = texts(drawing)
        prices = dict(line.split() for line in items)
        name, total = last.split()
        assert name.lower() == "total"
        assert sum(map(Decimal, prices.values())) == Decimal(total)
        match turn.task:
            case "receipt/total":
                assert turn.answer == total
            case "receipt/date":
                assert turn.answer == date
            case "receipt/shop":
                assert turn.answer == shop
            case "receipt/count":
                assert turn.answer == str(len(items))
            case _:
                (asked,) = [word for word in re.findall(r"\w+", turn.question) if word in prices]
                assert turn.answer == prices[asked]


def test_dates_are_real_and_prices_have_two_decimals():
    for drawing, _ in drawn_turns("receipt"):
        _, date, *items, last = texts(drawing)
        assert re.fullmatch(r"20[12]\d-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])", date)
        assert all(re.fullmatch(r"\w+ \d+\.\d\d", line) for line in [*items, last])
