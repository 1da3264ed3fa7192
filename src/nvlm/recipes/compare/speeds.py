"""The speed and memory of a comparison's variants, measured once, when all of them are trained.

No trained model is needed: what steps and answers of a set length take does not depend on weights.
"""

import copy
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from nvlm.recipes.compare.backbones import Shared
from nvlm.recipes.compare.measure import ROUNDS, Trainee, measure, threads
from nvlm.recipes.compare.memory import peak_memory
from nvlm.recipes.compare.report import Speed, write_whole
from nvlm.recipes.compare.study import Study
from nvlm.recipes.compare.variants import find_variant

SPEED = "speed.json"


def measured_speeds(study: Study) -> tuple[dict[str, Speed], str]:
    """What was measured of the comparison's variants, and with how many threads; nothing where it was not."""
    path = study.folder / SPEED
    if not path.exists():
        return {}, threads()
    held = json.loads(path.read_text(encoding="utf-8"))
    return {name: Speed(**held["speeds"][name]) for name in study.names if name in held["speeds"]}, held["threads"]


def is_measured(study: Study) -> bool:
    """Was every variant of the comparison measured, and with as many threads as there are now?"""
    held, with_threads = measured_speeds(study)
    return set(held) == set(study.names) and with_threads == threads()


def measure_speeds(study: Study, shared: Shared, say: Callable[[str], None], rounds: int = ROUNDS) -> None:
    """Measure all variants anew where one is missing: only what was measured in turns can be compared."""
    if is_measured(study):
        return
    say(f"measuring speed and memory of {len(study.names)} variants on {threads()}")
    memory = {name: peak_memory(study, find_variant(name)) for name in study.names}
    trainees, writers = {}, {}
    for name in study.names:
        model, processor, phases = shared.begin(find_variant(name))
        writer = copy.deepcopy(model)
        writer.eval()  # type: ignore[no-untyped-call]
        writers[name] = writer, processor
        trainees[name] = Trainee(model, phases[-1])
    write_speeds(study.folder / SPEED, measure(trainees, writers, memory, rounds))


def write_speeds(path: Path, speeds: Mapping[str, Speed]) -> None:
    """Keep every measured value, and with how many threads it was measured."""
    held = {"threads": threads(), "speeds": {name: vars(speed) for name, speed in speeds.items()}}
    write_whole(path, json.dumps(held))
