"""How long what is left of a comparison takes, from a few measured steps and answers of every variant."""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import median

from nvlm.data.status_line import clock
from nvlm.evaluation.answering import LocalModel
from nvlm.evaluation.nano_suite import NANO
from nvlm.recipes.compare.backbones import Shared, share
from nvlm.recipes.compare.measure import ROUNDS, WARM_UP, Trainee, step_seconds
from nvlm.recipes.compare.study import Planned, Study
from nvlm.recipes.nano.backbones import Backbones
from nvlm.recipes.nano.pictures import pictures_in

STEPS, PICTURES = 3, 64
"""Of every stage after a first one, and encoded ones, of which the steps are made."""

ASKED, TASKS, LENGTH = 8, ("table/value", "read/line", "text/copy"), 6
"""Questions of each of these tasks, and tokens of an answer: untrained models would write on and on."""


@dataclass(frozen=True)
class Pace:
    """What one variant takes: seconds of a step by stage, with the stage's steps, and of a question."""

    stages: dict[str, tuple[float, int]]
    question: float

    def left(self, planned: Planned, questions: int) -> float:
        """Seconds until one model is finished."""
        training = 0.0
        if not planned.trained:
            training = sum(
                seconds * max(0, steps - planned.steps(stage)) for stage, (seconds, steps) in self.stages.items()
            )
        return training + self.question * questions * len(NANO)

    @property
    def measuring(self) -> float:
        """Seconds of its share in measuring speed."""
        step, _ = list(self.stages.values())[-1]
        return (ROUNDS + WARM_UP) * (step + self.question)


def pace_of(planned: Planned, shared: Shared) -> Pace:
    """Measure a few steps of every stage, and a few answers."""
    stages = {}
    model, processor, phases = shared.begin(planned.variant)
    for phase in phases:
        stages[phase.name] = (median(step_seconds(Trainee(model, phase), STEPS)), phase.stage.steps)
    model.eval()  # type: ignore[no-untyped-call]
    return Pace(stages, _question_seconds(LocalModel(model, processor)))


def announce(study: Study, backbones: Backbones, say: Callable[[str], None]) -> dict[str, Pace]:
    """Say what is there, what is to be done, and how long that takes; the pace of every variant with something left."""
    planned, left = study.planned(), study.left()
    say(f"{len(planned)} models, {len(planned) - len(left)} of them finished; {study.questions} questions a task")
    if not left:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        few, encoding = _few(study, backbones, Path(folder))
        if encoding:
            say(f"  {'pictures':37} {clock(encoding)}   ({study.recipe.pictures:,}, drawn and encoded once)")
        paces = {name: _announced(name, study, few, say) for name in dict.fromkeys(each.name for each in left)}
    seconds = encoding + _seconds(left, paces, study.questions) + sum(pace.measuring for pace in paces.values())
    say(f"about {clock(seconds)} in all; Ctrl-C stops, and the same command goes on")
    return paces


def _few(study: Study, backbones: Backbones, folder: Path) -> tuple[Shared, float]:
    """A few pictures with features, to measure steps with, and how many seconds those that are missing take."""
    began = time.perf_counter()
    few = share(replace(study.recipe, pictures=PICTURES), backbones, folder, say=lambda line: None)
    took = (time.perf_counter() - began) / PICTURES
    return few, took * max(0, study.recipe.pictures - pictures_in(study.pictures))


def _announced(name: str, study: Study, shared: Shared, say: Callable[[str], None]) -> Pace:
    own = [each for each in study.left() if each.name == name]
    pace = pace_of(own[0], shared)
    seconds = sum(pace.left(each, study.questions) for each in own)
    say(f"  {name:20} seeds {_seeds(own):10} {clock(seconds)}   ({_stages(pace)})")
    return pace


def remaining(study: Study, paces: Mapping[str, Pace]) -> str:
    """How many models are finished, and how long the others take."""
    planned, left = study.planned(), study.left()
    took = clock(_seconds(left, paces, study.questions))
    return f"{len(planned) - len(left)} of {len(planned)} models, about {took} for the others"


def _seconds(left: Sequence[Planned], paces: Mapping[str, Pace], questions: int) -> float:
    return sum(paces[each.name].left(each, questions) for each in left)


def _question_seconds(model: LocalModel) -> float:
    began = time.perf_counter()
    for task in TASKS:
        benchmark = replace(NANO[task], max_new_tokens=LENGTH)
        model(list(islice(benchmark.questions("test"), ASKED)), benchmark)
    return (time.perf_counter() - began) / (ASKED * len(TASKS))


def _seeds(planned: Sequence[Planned]) -> str:
    return ", ".join(str(each.variant.seed) for each in planned)


def _stages(pace: Pace) -> str:
    parts = [f"{stage} {steps} steps of {seconds:.2f} s" for stage, (seconds, steps) in pace.stages.items()]
    return "; ".join(parts)
