"""Stand-ins for a model."""

from collections.abc import Sequence
from typing import Any

from nvlm.evaluation.benchmark import Benchmark, Question
from nvlm.evaluation.runner import Answer


def truth(reference: Any) -> str:
    """A right answer, whatever form the reference has."""
    if isinstance(reference, dict):
        return truth(reference.get("answers") or reference["answer"])
    return reference[0] if isinstance(reference, list) else str(reference)


class Oracle:
    """Knows the answers, and remembers what it was asked."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def __call__(self, questions: Sequence[Question], benchmark: Benchmark) -> list[Answer]:
        self.batches.append([question.id for question in questions])
        return [Answer(truth(question.reference), 2) for question in questions]

    @property
    def asked(self) -> list[str]:
        return [id for batch in self.batches for id in batch]


class Mute(Oracle):
    """Says nothing."""

    def __call__(self, questions: Sequence[Question], benchmark: Benchmark) -> list[Answer]:
        return [Answer("", 0) for _ in super().__call__(questions, benchmark)]
