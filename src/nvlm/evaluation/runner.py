"""One benchmark from its first question to its score: in batches, resumable, on one process or several."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol

from nvlm.evaluation.benchmark import Benchmark, Layout, Question
from nvlm.evaluation.outcome import Outcome, counts, outcome_of
from nvlm.evaluation.progress import Progress
from nvlm.evaluation.ranks import ALONE, Ranks
from nvlm.evaluation.reading import picture_name
from nvlm.evaluation.records import Record, Records

Numbered = tuple[int, Question]


class Answer(NamedTuple):
    """What a model answered.

    Attributes:
        text: what it wrote, or the likeliest of the benchmark's choices.
        tokens: how many that took (0: unknown).
        likelihoods: the natural logarithm of each choice's probability, where the answer was taken by them.
    """

    text: str
    tokens: int
    likelihoods: Mapping[str, float] | None = None


class Answerer(Protocol):
    """Whoever answers: a model here, or one behind an address."""

    def __call__(self, questions: Sequence[Question], benchmark: Benchmark) -> Sequence[Answer]:
        """One answer for each question.

        Raises:
            ValueError: one of them cannot be asked: a picture that cannot be used, a prompt that does not fit.
        """
        ...


@dataclass(frozen=True)
class Job:
    """A benchmark, a split of it, where its files were found, and how many of its questions are asked.

    Attributes:
        optional: it comes with a suite, so a model that can be asked none of it has no score there, and that is all.
    """

    benchmark: Benchmark
    split: str
    found: tuple[Layout, list[Path]] | None = None
    limit: int | None = None
    optional: bool = False

    @property
    def most(self) -> int | None:
        return self.limit or self.benchmark.default_limit

    def questions(self) -> Iterator[Question]:
        """The questions, in the set's order."""
        return islice(self.benchmark.questions(self.split, self.found), self.most)

    def count(self) -> int:
        """How many there are: counted without opening a picture, or drawing one."""
        if self.benchmark.made is not None and self.most is not None:
            return self.most
        return sum(1 for _ in self.questions())


def run(job: Job, answerer: Answerer, *, batch: int = 16, folder: Path | None = None, ranks: Ranks = ALONE) -> Outcome:
    """Ask what was not asked yet, and score all of it.

    The batches are the same however many processes there are: process r takes every ``count``-th one. So the answers,
    which padding may change in the last digit, are the same too.

    Args:
        folder: where the answers are kept and looked for; nowhere, if None.

    Raises:
        MissingData, ValueError: data that are not there or not as published, or a folder with answers to other
            questions; not one question of the first batch could be asked, unless the job is optional.
    """
    records = Records(folder, job.benchmark.name, ranks.rank, ranks.count)
    answered = {record["id"]: hash(record["prompt"]) for record in records}
    progress = Progress(job.benchmark.name, job.count(), quiet=ranks.rank > 0)
    try:
        for number, chunk in enumerate(_batches(job.questions(), batch)):
            todo = [(index, question) for index, question in chunk if not _is_answered(question, answered, job)]
            if todo and number % ranks.count == ranks.rank:
                progress.begin(chunk[0][0])
                records.append(_ask(todo, job.benchmark, answerer, strict=not (answered or job.optional)))
                answered |= {question.id: hash(question.prompt) for _, question in todo}
                progress.update(chunk[-1][0] + 1)
    finally:
        progress.close()
    ranks.wait()
    if ranks.rank == 0:
        _finish(records, job)
    ranks.wait()
    return outcome_of(records, job)


def _batches(questions: Iterator[Question], size: int) -> Iterator[list[Numbered]]:
    numbered = enumerate(questions)
    while chunk := list(islice(numbered, size)):
        yield chunk


def _is_answered(question: Question, answered: dict[str, int], job: Job) -> bool:
    if question.id not in answered:
        return False
    if answered[question.id] != hash(question.prompt):
        raise ValueError(
            f"the answers of {job.benchmark.name} in this folder are to other questions ({question.id} differs): were "
            "the data or the prompt changed since? choose another --out"
        )
    return True


def _ask(todo: Sequence[Numbered], benchmark: Benchmark, answerer: Answerer, strict: bool) -> list[Record]:
    """The records of a batch. Where one question spoils it, each is asked alone, and the bad ones say why.

    Args:
        strict: it is a run's first batch; where none of it can be asked, the fault is not in a single question.

    Raises:
        ValueError: such a fault.
    """
    began = time.perf_counter()
    answers = _answers([question for _, question in todo], benchmark, answerer)
    seconds = (time.perf_counter() - began) / len(todo)
    faults = [answer for answer in answers if isinstance(answer, ValueError)]
    if strict and len(faults) == len(todo):
        raise faults[0]
    return [_record(*pair, answer, benchmark, seconds) for pair, answer in zip(todo, answers, strict=True)]


def _answers(questions: Sequence[Question], benchmark: Benchmark, answerer: Answerer) -> list[Answer | ValueError]:
    try:
        return list(answerer(questions, benchmark))
    except ValueError as error:
        if len(questions) == 1:
            return [error]
        return [answer for question in questions for answer in _answers([question], benchmark, answerer)]


def _record(
    index: int, question: Question, answer: Answer | ValueError, benchmark: Benchmark, seconds: float
) -> Record:
    asked: Record = {
        "index": index,
        "id": question.id,
        "groups": list(question.groups),
        "prompt": question.prompt,
        "pictures": [picture_name(picture) for picture in question.pictures],
        "reference": question.reference,
    }
    if isinstance(answer, ValueError):
        return asked | {"error": str(answer), "score": 0.0, "tokens": 0, "seconds": seconds}
    graded = benchmark.grade(answer.text, question.reference)
    written = {"answer": answer.text, "parsed": graded.parsed, "score": graded.score}
    some = {"likelihoods": answer.likelihoods, "reason": graded.reason, "also": graded.also}
    return (
        asked
        | written
        | {name: value for name, value in some.items() if value}
        | {"tokens": answer.tokens, "seconds": round(seconds, 4)}
    )


def _finish(records: Records, job: Job) -> None:
    """Bring the shards together, and give their scores to answers that are scored together."""
    if job.benchmark.corpus is None:
        if records.scattered:
            records.replace(records)
        return
    whole = list(records)
    counted = [record for record in whole if counts(record, job)]
    pairs = [(record.get("parsed") or "", record["reference"]) for record in counted]
    for record, score in zip(counted, job.benchmark.corpus(pairs), strict=True):
        record["score"] = score
    records.replace(whole)
