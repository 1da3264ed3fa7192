"""What a synthetic task makes: turns with exact answers, and for picture tasks a drawing."""

from dataclasses import dataclass, field

from nvlm.data.synthetic.canvas import Drawing


@dataclass(frozen=True)
class Turn:
    """One question with its exact answer; ``task`` is the name it is scored under."""

    task: str
    question: str
    answer: str


@dataclass(frozen=True)
class Problem:
    """Several turns about at most one drawing."""

    turns: list[Turn]
    drawing: Drawing | None = field(default=None)
