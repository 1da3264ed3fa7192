"""What a synthetic task makes: turns with exact answers, and for picture tasks a drawing."""

from dataclasses import dataclass, field, replace

from nvlm.data.synthetic.canvas import Drawing


@dataclass(frozen=True)
class Turn:
    """One question with its exact answer; ``task`` is the name it is scored under."""

    task: str
    question: str
    answer: str


@dataclass(frozen=True)
class Problem:
    """Several turns about at most one drawing.

    Attributes:
        turns: what is asked.
        drawing: of picture tasks.
        others: what else could be asked about the drawing, in random order.
    """

    turns: list[Turn]
    drawing: Drawing | None = None
    others: list[Turn] = field(default_factory=list)

    def asked(self, most: int) -> "Problem":
        """The problem with as many of the other questions as make ``most`` turns; none is asked twice."""
        turns = {turn.question: turn for turn in (*self.turns, *self.others)}
        return replace(self, turns=list(turns.values())[: max(most, len(self.turns))])
