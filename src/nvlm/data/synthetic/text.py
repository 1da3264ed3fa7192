"""Text-only tasks with exact answers: they make the language model's own skills, and keep them (paper section 5.3).

Copying, reversing, letters, sums, sorting, and questions about lists written as text in the same words that are later
used for tables and charts.
"""

import random
from collections.abc import Callable

from nvlm.data.synthetic.listing import draw_listing
from nvlm.data.synthetic.problem import Problem, Turn
from nvlm.data.synthetic.splits import Split, draw
from nvlm.data.synthetic.words import kinds, labels

LETTERS = "abcdefghijklmnopqrstuvwxyz"
SEPARATORS = ((" ", "\n"), (" is ", ". "), (": ", "\n"), (" ", ", "))
"""What stands between the two sides of a pair, and between pairs."""

TextTask = Callable[[random.Random, Split], Problem]


def copy(rng: random.Random, split: Split) -> Problem:
    """Repeat one to six items (words, numbers or spelled strings), or a long line of words."""
    items = (
        _items(rng, split, rng.randint(1, 6)) if rng.random() < 0.6 else _items(rng, split, rng.randint(8, 16), False)
    )
    return _one("text/copy", rng.choice(("Copy: {}", "Repeat: {}")).format(items), items)


def reverse(rng: random.Random, split: Split) -> Problem:
    """The items of a list, or the letters of a string, from the last to the first."""
    if rng.random() < 0.5:
        items = _items(rng, split, rng.randint(2, 5))
        return _one("text/reverse", f"Reverse: {items}", " ".join(reversed(items.split())))
    letters = _string(rng, split, 2, 5)
    return _one("text/reverse", f"Reverse the letters: {letters}", letters[::-1])


def last_letter(rng: random.Random, split: Split) -> Problem:
    """The first or the last letter of a made-up string."""
    letters = _string(rng, split, 2, 8)
    which = rng.choice(("last", "last", "first"))
    answer = letters[-1] if which == "last" else letters[0]
    return _one(f"text/{which}_letter", f"What is the {which} letter of {letters}?", answer)


def add(rng: random.Random, split: Split) -> Problem:
    """One-digit sums and differences. Held out: the pair in this order and wording, not the fact itself."""
    if rng.random() < 0.3:
        a, b = draw(lambda: (rng.randint(0, 9), rng.randint(0, 9)), lambda pair: f"minus {pair}", split)
        return _one("text/subtract", f"What is {a + b} minus {a}?", str(b))
    forms = ("{} + {} =", "What is {} + {}?", "What is {} plus {}?", "{} plus {}?", "{} and {} make")
    form, a, b = draw(
        lambda: (rng.choice(forms), rng.randint(0, 9), rng.randint(0, 9)), lambda sum_: f"sum {sum_}", split
    )
    return _one("text/add", form.format(a, b), str(a + b))


def sort(rng: random.Random, split: Split) -> Problem:
    """Three to five numbers from the smallest to the largest, or the largest or smallest of two to five."""
    whole = rng.random() < 0.5
    count = rng.randint(3 if whole else 2, 5)
    numbers = draw(lambda: rng.sample(range(100), count), lambda chosen: f"sort {sorted(chosen)[:3]}", split)
    written = " ".join(map(str, numbers))
    if whole:
        return _one("text/sort", f"Sort: {written}", " ".join(map(str, sorted(numbers))))
    which, pick = rng.choice((("largest", max), ("smallest", min)))
    return _one(f"text/{which}_number", f"Which number is {which}? {written}", str(pick(numbers)))


def strings(rng: random.Random, split: Split) -> Problem:
    """Questions about a line of words: how many, which is first, last or next, is one among them."""
    count = rng.randint(2, 7)
    words = draw(lambda: rng.sample(labels(), count), lambda chosen: f"line {chosen}", split)
    line = " ".join(words)
    place = rng.randrange(len(words))
    absent = rng.choice([word for word in rng.sample(labels(), 8) if word not in words])
    asked = rng.choice((words[place], absent))
    choices = [
        Turn("text/count_words", f"How many words are there? {line}", str(len(words))),
        Turn("text/first_word", f"What is the first word? {line}", words[0]),
        Turn("text/last_word", f"What is the last word? {line}", words[-1]),
        Turn("text/contains", f"Is there {asked}? {line}", "yes" if asked in words else "no"),
    ]
    if place + 1 < len(words):
        choices.append(Turn("text/next_word", f"Which word follows {words[place]}? {line}", words[place + 1]))
    return Problem([rng.choice(choices)])


def recall(rng: random.Random, split: Split) -> Problem:
    """Pairs of words, or of a word and a number; every first word is asked for, in another order.

    Many answers that only content can find, not position: what teaches a small model to look things up.
    """
    numbers = rng.random() < 0.3

    def choose() -> tuple[str, str]:
        return rng.choice(labels()), str(rng.randint(1, 99)) if numbers else rng.choice(labels())

    pairs = dict(draw(choose, lambda pair: f"recall {pair}", split) for _ in range(rng.randint(2, 8)))
    between, after = rng.choice(SEPARATORS)
    written = after.join(f"{word}{between}{other}" for word, other in pairs.items())
    turns = [Turn("text/recall", f"{word}?", pairs[word]) for word in rng.sample(list(pairs), len(pairs))]
    return Problem([Turn("text/recall", f"{written}\n{turns[0].question}", turns[0].answer), *turns[1:]])


def lookup(rng: random.Random, split: Split) -> Problem:
    """Questions about a list written as text, in the words that tables and charts use."""
    listing = draw_listing(rng, split, rng.randint(2, 6))
    between, after = rng.choice(SEPARATORS)
    written = after.join(f"{label}{between}{value}" for label, value in listing.rows)
    first, *others = listing.turns(rng, "text", rng.randint(1, 3))
    return Problem([Turn(first.task, f"{written}\n{first.question}", first.answer), *others])


def colours(rng: random.Random, split: Split) -> Problem:
    """Counting, colours and places in a written scene: what the picture tasks ask about drawn ones."""
    key = draw(lambda: tuple(rng.randrange(10**6) for _ in range(1)), lambda seed: f"scene {seed}", split)[0]
    scene = random.Random(key)
    things = [(scene.choice(kinds()["colours"]), scene.choice(kinds()["shapes"])) for _ in range(scene.randint(2, 7))]
    written = ", ".join(f"{colour} {shape}" for colour, shape in things)
    asked_colour, asked_shape = scene.choice(things)
    of_colour = sum(colour == asked_colour for colour, _ in things)
    of_shape = [colour for colour, shape in things if shape == asked_shape]
    turns = [
        Turn("text/count_colour", f"How many {asked_colour} shapes are there?", str(of_colour)),
        Turn("text/count_all", "How many shapes are there?", str(len(things))),
    ]
    if len(of_shape) == 1:
        turns.append(Turn("text/colour_of", f"What colour is the {asked_shape}?", of_shape[0]))
    first, *others = rng.sample(turns, rng.randint(1, 2))
    return Problem([Turn(first.task, f"{written}\n{first.question}", first.answer), *others])


TEXT_TASKS: dict[str, tuple[TextTask, float]] = {
    "recall": (recall, 2.0),
    "copy": (copy, 3.0),
    "reverse": (reverse, 2.0),
    "last_letter": (last_letter, 1.0),
    "add": (add, 1.5),
    "sort": (sort, 3.0),
    "strings": (strings, 2.0),
    "lookup": (lookup, 5.0),
    "colours": (colours, 1.5),
}
"""Every text-only task with its weight in the blend."""


def _one(task: str, question: str, answer: str) -> Problem:
    return Problem([Turn(task, question, answer)])


def _string(rng: random.Random, split: Split, shortest: int, longest: int) -> str:
    def choose() -> str:
        return "".join(rng.choices(LETTERS, k=rng.randint(shortest, longest)))

    return draw(choose, lambda letters: f"string {letters}", split)


def _items(rng: random.Random, split: Split, count: int, spelled: bool = True) -> str:
    """A line of words, numbers or (``spelled``) made-up strings that belongs to ``split``."""
    if spelled and rng.random() < 0.25:
        return " ".join(_string(rng, split, 2, 4) for _ in range(min(count, 3)))
    if rng.random() < 0.25:
        return " ".join(
            draw(lambda: str(rng.randint(10, 99999)), lambda n: f"number {n}", split) for _ in range(min(count, 3))
        )
    return " ".join(draw(lambda: [rng.choice(labels()) for _ in range(count)], lambda words: f"line {words}", split))
