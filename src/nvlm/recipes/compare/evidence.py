"""What one trained model shows, and what several show together: scores over seeds, and paired differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from nvlm.evaluation.intervals import Change, Score, change, mean_score

Scores = Mapping[str, float]
"""By question."""


@dataclass(frozen=True)
class Evidence:
    """One variant trained with one seed.

    Attributes:
        scores: by task and question.
        curves: (step, loss) by stage.
        gates: (layer, tanh of its gate) of cross-attention, its feed-forward's after a ``+``.
        seconds: of training, by stage.
        parameters: by part, (all, learning in SFT).
        answers: (text, score) of the questions that are shown side by side, by task.
        machine: on which it was trained.
    """

    variant: str
    seed: int
    scores: Mapping[str, Scores]
    curves: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)
    gates: Sequence[tuple[str, float]] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    parameters: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    answers: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    machine: str = ""


@dataclass(frozen=True)
class Quality:
    """A mean score: every question's score is its mean over the seeds.

    Attributes:
        score: with an interval over questions, as if the seeds were all there are.
        seeds: the mean of each seed, to show how far seeds lie apart.
    """

    score: Score
    seeds: tuple[float, ...]


@dataclass(frozen=True)
class Difference:
    """How much better one variant is than another: paired over questions, and seed by seed.

    Attributes:
        change: of the questions' means over the shared seeds, with its interval over questions.
        seeds: the difference of each shared seed, trained on the same samples in the same order.
    """

    change: Change
    seeds: tuple[float, ...]


def quality(runs: Sequence[Evidence], tasks: Sequence[str]) -> Quality:
    """The quality of one variant's runs on some tasks, every question counting alike.

    Raises:
        ValueError: no question was answered.
    """
    seeds = [_questions(run, tasks) for run in runs]
    together = over_seeds(seeds)
    return Quality(mean_score(list(together.values())), tuple(fmean(each.values()) for each in seeds))


def difference(runs: Sequence[Evidence], others: Sequence[Evidence], tasks: Sequence[str]) -> Difference | None:
    """How much better ``runs`` are than ``others``, over the seeds that both have; None where they share none."""
    theirs = {run.seed: run for run in others}
    pairs = [(run, theirs[run.seed]) for run in runs if run.seed in theirs]
    if not pairs:
        return None
    ours, against = ([_questions(each, tasks) for each in side] for side in zip(*pairs, strict=True))
    return _difference(ours, against)


def against_baseline(runs: Sequence[Evidence], baseline: Mapping[str, Scores], tasks: Sequence[str]) -> Difference:
    """How much better a variant is than a model without seeds: the bare language model.

    Raises:
        ValueError: no question was answered by both.
    """
    bare = {f"{task}/{id}": score for task in tasks for id, score in baseline.get(task, {}).items()}
    return _difference([_questions(run, tasks) for run in runs], [bare] * len(runs))


def over_seeds(seeds: Sequence[Scores]) -> dict[str, float]:
    """Every question's mean score over the seeds that all answered it."""
    shared = [id for id in seeds[0] if all(id in each for each in seeds)] if seeds else []
    return {id: fmean(each[id] for each in seeds) for id in shared}


def _difference(ours: Sequence[Scores], theirs: Sequence[Scores]) -> Difference:
    seeds = []
    for mine, other in zip(ours, theirs, strict=True):
        seeds.append(change(mine, other).mean)
    return Difference(change(over_seeds(ours), over_seeds(theirs)), tuple(seeds))


def _questions(run: Evidence, tasks: Sequence[str]) -> dict[str, float]:
    """The scores of several tasks, by task and question."""
    return {f"{task}/{id}": score for task in tasks for id, score in run.scores.get(task, {}).items()}
