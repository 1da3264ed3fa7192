"""Labelled values, and the questions one can ask about them: the shared core of lists, tables and charts."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from nvlm.data.synthetic.problem import Turn
from nvlm.data.synthetic.splits import Split, draw
from nvlm.data.synthetic.words import kinds, labels

LARGEST_SUM = 9
"""Sums and differences are asked only where every value is a single digit."""

VALUE = ("What is the value of {}?", "How much is {}?", "{}?")
LARGEST = ("Which is largest?", "Which has the largest value?")
SMALLEST = ("Which is smallest?", "Which has the smallest value?")
SUM = ("What is the sum of {} and {}?", "{} plus {}?")
DIFFERENCE = ("What is the difference between {} and {}?", "{} minus {}?")
COUNT = ("How many rows are there?", "Count the rows.")


@dataclass(frozen=True)
class Listing:
    """Distinct labels with distinct values, in the order they are shown."""

    rows: list[tuple[str, int]]

    def turns(self, rng: random.Random, where: str, count: int | None = None) -> list[Turn]:
        """``count`` different questions with their answers, or all.

        Args:
            where: the task's family (``text``, ``table`` …).
        """
        makers: list[Callable[[], Turn]] = [partial(self._value, rng, where, label) for label, _ in self.rows]
        makers += [partial(self._extreme, rng, where, largest=largest) for largest in (True, False)] * 2
        if max(value for _, value in self.rows) <= LARGEST_SUM:
            makers += [partial(self._sum, rng, where), partial(self._difference, rng, where)]
        makers.append(partial(self._count, rng, where))
        turns: dict[str, Turn] = {}
        for make in rng.sample(makers, len(makers)):
            turn = make()
            turns.setdefault(turn.question, turn)
            if len(turns) == count:
                break
        return list(turns.values())

    def others(self, rng: random.Random, where: str, asked: list[Turn]) -> list[Turn]:
        """All questions but those that were asked, in other words perhaps."""
        known = {(turn.task, turn.answer) for turn in asked}
        found = {(turn.task, turn.answer): turn for turn in self.turns(rng, where)}
        return [turn for key, turn in found.items() if key not in known]

    def value(self, label: str) -> int:
        """The value that stands beside ``label``."""
        return dict(self.rows)[label]

    def _value(self, rng: random.Random, where: str, label: str) -> Turn:
        return Turn(f"{where}/value", rng.choice(VALUE).format(label), str(self.value(label)), evidence=label)

    def _extreme(self, rng: random.Random, where: str, *, largest: bool) -> Turn:
        pick, words, name = (max, LARGEST, "largest") if largest else (min, SMALLEST, "smallest")
        label, value = pick(self.rows, key=lambda row: row[1])
        return Turn(f"{where}/{name}", rng.choice(words), label, evidence=str(value))

    def _count(self, rng: random.Random, where: str) -> Turn:
        return Turn(f"{where}/count", rng.choice(COUNT), str(len(self.rows)))

    def _sum(self, rng: random.Random, where: str) -> Turn:
        (a, x), (b, y) = rng.sample(self.rows, 2)
        return Turn(f"{where}/sum", rng.choice(SUM).format(a, b), str(x + y), evidence=f"{a} {x}, {b} {y}")

    def _difference(self, rng: random.Random, where: str) -> Turn:
        (a, x), (b, y) = sorted(rng.sample(self.rows, 2), key=lambda row: -row[1])
        question = rng.choice(DIFFERENCE).format(a, b)
        return Turn(f"{where}/difference", question, str(x - y), evidence=f"{a} {x}, {b} {y}")


def draw_listing(rng: random.Random, split: Split, count: int, largest: int | None = None) -> Listing:
    """``count`` rows whose (label, value) pairs all belong to ``split``.

    Labels are mixed, or all months, days or places as real tables have them. ``largest`` bounds the values; by default
    9, 99 or 999 at random (values are distinct, so ``count`` must stay below it).
    """
    largest = largest or rng.choices((LARGEST_SUM, 99, 999), (3, 6, 1))[0]
    themed = largest > LARGEST_SUM and rng.random() < 0.25  # small pools of small values hold too little out
    pool = kinds()[rng.choice(("months", "days", "places"))] if themed else labels()
    count = min(count, len(pool) - 1)
    rows: dict[str, int] = {}
    while len(rows) < count:
        label, value = draw(
            lambda: (rng.choice(pool), rng.randint(1, largest)), lambda row: f"{row[0]}={row[1]}", split
        )
        if label not in rows and value not in rows.values():
            rows[label] = value
    return Listing(list(rows.items()))
