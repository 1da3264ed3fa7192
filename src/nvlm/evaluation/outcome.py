"""What came of a benchmark: scores with their intervals, and how many answers went wrong in which way."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nvlm.evaluation.intervals import Score, mean_score
from nvlm.evaluation.records import Record

if TYPE_CHECKING:
    from nvlm.evaluation.runner import Job


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Attributes:
        score: the mean with its interval; None for a split without references, and where nothing could be asked.
        groups: the same for each group of questions.
        beside: the same by other rules.
        scores: by question.
        unread: answers in which nothing could be read; they score as wrong (or as the first option).
        failed: questions that could not be asked; they score 0.
        fault: why the first of them could not.
        chosen: answers that were taken by their likelihood.
        tokens, seconds: of all answers.
        submission: what to send to the set's server, if that is how the split is scored.
    """

    job: "Job"
    score: Score | None
    groups: dict[str, Score]
    beside: dict[str, Score]
    scores: dict[str, float]
    asked: int
    unread: int
    failed: int
    fault: str | None
    chosen: int
    tokens: int
    seconds: float
    submission: object = None


def counts(record: Record, job: "Job") -> bool:
    """Is this one of the questions that the job asks? A run with a larger limit may have left more."""
    return job.most is None or record["index"] < job.most


def outcome_of(records: Iterable[Record], job: "Job") -> Outcome:
    """Scores of the job's questions."""
    scores: dict[str, float] = {}
    groups: dict[str, list[float]] = {}
    beside: dict[str, list[float]] = {}
    parsed: list[tuple[str, str]] = []
    faults: list[str] = []
    asked = unread = chosen = tokens = 0
    seconds = 0.0
    for record in records:
        if not counts(record, job):
            continue
        asked += 1
        faults += [record["error"]] if "error" in record else []
        unread += "error" not in record and record["parsed"] is None
        chosen += "likelihoods" in record
        tokens += record["tokens"]
        seconds += record["seconds"]
        parsed.append((record["id"], record.get("parsed") or ""))
        if record["score"] is not None:
            scores[record["id"]] = record["score"]
            for group in record["groups"]:
                groups.setdefault(group, []).append(record["score"])
        for rule, score in record.get("also", {}).items():
            beside.setdefault(rule, []).append(score)
    if len(faults) == asked:
        scores, groups = {}, {}
    submit, bounded = job.benchmark.submission, job.benchmark.corpus is None
    return Outcome(
        job,
        score=mean_score(list(scores.values()), bounded) if scores else None,
        groups={group: mean_score(each, bounded) for group, each in groups.items()},
        beside={rule: mean_score(each + [0.0] * len(faults), bounded) for rule, each in beside.items()},
        scores=scores,
        asked=asked,
        unread=unread,
        failed=len(faults),
        fault=faults[0] if faults else None,
        chosen=chosen,
        tokens=tokens,
        seconds=seconds,
        submission=submit(parsed) if submit and not scores and len(faults) < asked else None,
    )
