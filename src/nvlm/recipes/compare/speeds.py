"""The speed and memory of a comparison's variants, measured once, when all of them are trained.

No trained model is needed: what steps and answers of a set length take does not depend on weights. Nor is every
picture: a few hundred make the same kinds of batches.
"""

import copy
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from nvlm.recipes.compare.backbones import Shared, share
from nvlm.recipes.compare.measure import ROUNDS, Trainee, measure, threads
from nvlm.recipes.compare.memory import peak_memory
from nvlm.recipes.compare.report import Speed, write_whole
from nvlm.recipes.compare.study import Study
from nvlm.recipes.compare.variants import find_variant
from nvlm.recipes.nano.backbones import Backbones

SPEED = "speed.json"
PICTURES = 480
"""Different ones in the measured steps."""


def measured_speeds(study: Study) -> tuple[dict[str, Speed], str]:
    """What was measured of the comparison's variants, and with how many threads; nothing where it was not."""
    path = study.folder / SPEED
    if not path.exists():
        return {}, threads()
    held = json.loads(path.read_text(encoding="utf-8"))
    return {name: Speed(**held["speeds"][name]) for name in study.names if name in held["speeds"]}, held["threads"]


def measure_speeds(study: Study, backbones: Backbones, say: Callable[[str], None], rounds: int = ROUNDS) -> None:
    """Measure all variants anew where one is missing: only what was measured in turns can be compared."""
    held, with_threads = measured_speeds(study)
    if set(held) == set(study.names) and with_threads == threads():
        return
    say(f"measuring speed and memory of {len(study.names)} variants on {threads()}")
    recipe = replace(study.recipe, pictures=min(PICTURES, study.recipe.pictures))
    with tempfile.TemporaryDirectory() as folder:
        shared = share(recipe, backbones, Path(folder), say=lambda line: None)
        memory = {name: peak_memory(shared, find_variant(name)) for name in study.names}
        write_speeds(study.folder / SPEED, _measured(study.names, shared, memory, rounds))


def _measured(
    names: Sequence[str], shared: Shared, memory: Mapping[str, float | None], rounds: int
) -> dict[str, Speed]:
    trainees, writers = {}, {}
    for name in names:
        model, processor, phases = shared.begin(find_variant(name))
        writer = copy.deepcopy(model)
        writer.eval()  # type: ignore[no-untyped-call]
        writers[name] = writer, processor
        trainees[name] = Trainee(model, phases[-1])
    return measure(trainees, writers, memory, rounds)


def write_speeds(path: Path, speeds: Mapping[str, Speed]) -> None:
    """Keep every measured value, and with how many threads it was measured."""
    held = {"threads": threads(), "speeds": {name: vars(speed) for name, speed in speeds.items()}}
    write_whole(path, json.dumps(held))
