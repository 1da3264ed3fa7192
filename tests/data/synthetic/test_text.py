import re

from nvlm.data.synthetic.splits import SPLITS
from nvlm.data.synthetic.words import kinds
from tests.data.synthetic import listings
from tests.data.synthetic.drawn import problems, turns


def test_copies_are_exact():
    for turn in turns("copy"):
        assert turn.question in (f"Copy: {turn.answer}", f"Repeat: {turn.answer}")


def test_reversals_are_exact():
    for turn in turns("reverse"):
        said, _, shown = turn.question.partition(": ")
        assert turn.answer == (shown[::-1] if said == "Reverse the letters" else " ".join(shown.split()[::-1]))


def test_letters_are_the_first_and_the_last():
    for turn in turns("last_letter"):
        which, letters = re.fullmatch(r"What is the (first|last) letter of ([a-z]+)\?", turn.question).groups()
        assert turn.answer == (letters[0] if which == "first" else letters[-1])
        assert turn.task == f"text/{which}_letter"


def test_sums_are_right():
    for turn in turns("add"):
        one, other = map(int, re.findall(r"\d+", turn.question))
        assert int(turn.answer) == (one - other if turn.task == "text/subtract" else one + other)
        assert 0 <= int(turn.answer) <= 18


def test_recalled_words_stand_beside_their_questions():
    for turn in turns("recall"):
        shown, _, question = turn.question.rpartition("\n")
        rows = re.findall(r"(\w+)(?: is |: | )(\w+)", shown)
        pairs = dict(rows)
        assert len(pairs) == len(rows) <= 8
        assert turn.answer == pairs[question.removesuffix("?")], turn


def test_every_pair_is_asked_for_and_not_in_the_order_it_is_written():
    orders = set()
    for split in SPLITS:
        for problem in problems("recall", split):
            shown, _, question = problem.turns[0].question.rpartition("\n")
            written = [word for word, _ in re.findall(r"(\w+)(?: is |: | )(\w+)", shown)]
            asked = [text.removesuffix("?") for text in (question, *(turn.question for turn in problem.turns[1:]))]
            assert sorted(asked) == sorted(written)
            orders.add(asked == written)
    assert orders == {True, False}


def test_sorting_keeps_every_number_and_orders_them():
    for turn in turns("sort"):
        shown = re.findall(r"\d+", turn.question)
        ordered = sorted(shown, key=int)
        expected = {"text/sort": ordered, "text/largest_number": ordered[-1:], "text/smallest_number": ordered[:1]}
        assert turn.answer.split() == expected[turn.task]
        assert (3 if turn.task == "text/sort" else 2) <= len(set(shown)) == len(shown) <= 5


def test_questions_about_a_line_of_words_are_right():
    for turn in turns("strings"):
        asked, _, line = turn.question.partition("? ")
        words = line.split()
        assert len(set(words)) == len(words)
        expected = {
            "text/count_words": str(len(words)),
            "text/first_word": words[0],
            "text/last_word": words[-1],
            "text/contains": "yes" if asked.removeprefix("Is there ") in words else "no",
        }
        if turn.task == "text/next_word":
            assert turn.answer == words[words.index(asked.removeprefix("Which word follows ")) + 1]
        else:
            assert turn.answer == expected[turn.task]


def test_lookups_follow_from_the_written_list():
    for turn in turns("lookup"):
        shown, _, question = turn.question.rpartition("\n")
        rows = [(label, int(value)) for label, value in re.findall(r"(\w+)(?: is |: | )(\d+)", shown)]
        listings.check(rows)
        assert turn.answer == listings.answer(rows, turn.task, question), turn


def test_written_scenes_are_counted_right():
    for turn in turns("colours"):
        shown, _, question = turn.question.rpartition("\n")
        things = [tuple(thing.split()) for thing in shown.split(", ")]
        colours, shapes = zip(*things, strict=True)
        asked = [word for word in re.findall(r"\w+", question) if word in (*kinds()["colours"], *kinds()["shapes"])]
        match turn.task:
            case "text/count_all":
                assert turn.answer == str(len(things))
            case "text/count_colour":
                assert turn.answer == str(colours.count(asked[0]))
            case _:
                assert [colour for colour, shape in things if shape == asked[0]] == [turn.answer]
                assert shapes.count(asked[0]) == 1
