"""What a synthetic task makes: turns with exact answers, and for picture tasks a drawing."""

from dataclasses import dataclass, field, replace

from nvlm.data.synthetic.canvas import Drawing


@dataclass(frozen=True)
class Turn:
    """One question with its exact answer.

    Attributes:
        task: the name it is scored under.
        question, answer: what is asked, and the truth.
        evidence: what a model that explains itself says before the answer: the label it looks up, the largest value,
            the two things in their true order; empty where there is nothing to say.
    """

    task: str
    question: str
    answer: str
    evidence: str = ""

    @property
    def explained(self) -> str:
        """The answer after its evidence.

        >>> Turn("table/largest", "Which is largest?", "Germany", evidence="89").explained
        '89: Germany'
        """
        return f"{self.evidence}: {self.answer}" if self.evidence else self.answer


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
