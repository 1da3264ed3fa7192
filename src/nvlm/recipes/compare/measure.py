"""Speed of several variants, measured in one process and in turns, so that a busy machine is busy for all of them."""

import os
import platform
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from PIL import Image
from torch import Tensor
from transformers.generation.streamers import BaseStreamer

from nvlm.data.synthetic.tasks import questions
from nvlm.inference.ask import prepare, user_message, write
from nvlm.modeling.model import NVLMForConditionalGeneration
from nvlm.processing import NVLMProcessor
from nvlm.recipes.compare.report import Speed
from nvlm.recipes.nano.language import build_processor
from nvlm.recipes.nano.phases import Phase
from nvlm.recipes.nano.sizes import MAX_TILES
from nvlm.training.engine import Engine
from nvlm.training.lanes import StepBatches
from nvlm.training.ranks import Ranks
from nvlm.training.run import Run

ROUNDS, WARM_UP = 20, 2
"""Rounds that count, and rounds before them that do not."""

WRITTEN = 17
"""Tokens of a timed answer."""


@dataclass(frozen=True)
class Trainee:
    """A variant before training: what a training step takes does not depend on weights."""

    model: NVLMForConditionalGeneration
    phase: Phase


@dataclass
class _Times:
    steps: list[float] = field(default_factory=list)
    batches: list[float] = field(default_factory=list)
    first_token: list[float] = field(default_factory=list)
    token: list[float] = field(default_factory=list)


def measure(
    trainees: Mapping[str, Trainee],
    writers: Mapping[str, tuple[NVLMForConditionalGeneration, NVLMProcessor]],
    memory: Mapping[str, float | None],
    rounds: int = ROUNDS,
) -> dict[str, Speed]:
    """Times of every variant; each round is a training step and an answer of each, forwards and backwards in turns.

    Args:
        trainees: by variant; their models are trained on the way.
        writers: models that answer, by variant; they write a set number of tokens, so they need not be trained.
        memory: peak MiB by variant.
    """
    runs = {name: _Steps(trainee) for name, trainee in trainees.items()}
    question, image = widest_question()
    times = {name: _Times() for name in trainees}
    for number in range(WARM_UP + rounds):
        for name in list(times) if number % 2 else reversed(times):
            step, batch = runs[name](number)
            first, further = answer_times(*writers[name], question, image)
            if number >= WARM_UP:
                own = times[name]
                own.steps.append(step)
                own.batches.append(batch)
                own.first_token.append(first)
                own.token.append(further)
    return {
        name: Speed(
            own.steps, own.batches, trainees[name].phase.stage.batch, own.first_token, own.token, memory.get(name)
        )
        for name, own in times.items()
    }


class _Steps:
    """Training steps of one variant, one at a time."""

    def __init__(self, trainee: Trainee) -> None:
        phase = trainee.phase
        self._run = Run(phase.stage, trainee.model, StepBatches(phase.batches), phase.loss, Engine(), Ranks())

    def __call__(self, step: int) -> tuple[float, float]:
        """Seconds of a step without its batch, and of making that."""
        row = self._run.step(step)
        return row["seconds"] - row["waited"], row["waited"]


def step_seconds(trainee: Trainee, steps: int) -> list[float]:
    """Whole seconds of training steps, batches included, after one that does not count."""
    run = _Steps(trainee)
    return [sum(run(number)) for number in range(1 + steps)][1:]


def answer_times(
    model: NVLMForConditionalGeneration, processor: NVLMProcessor, question: str, image: Image.Image
) -> tuple[float, float]:
    """Seconds from picture and question to the first token, and of each further one."""
    began = time.perf_counter()
    inputs = prepare(model, processor, [[user_message(question, [image])]], WRITTEN)
    clock = _Clock()
    write(model, processor, inputs, WRITTEN, min_new_tokens=WRITTEN, streamer=clock)
    first, *_, last = clock.written
    return first - began, (last - first) / (len(clock.written) - 1)


def widest_question() -> tuple[str, Image.Image]:
    """The first held-out question about a picture of as many tiles as there can be."""
    images = build_processor("D").image_processor
    for sample, turn in questions("test", "table/value", sys.maxsize):
        if images.grid(images.load(sample.images[0])).tiles == MAX_TILES:
            return turn.question, sample.images[0]
    raise AssertionError("the generators never end")


class _Clock(BaseStreamer):
    """Notes when each token was written; `generate` hands it the prompt first."""

    def __init__(self) -> None:
        self._noted: list[float] = []

    @property
    def written(self) -> list[float]:
        return self._noted[1:]

    def put(self, value: Tensor) -> None:
        self._noted.append(time.perf_counter())

    def end(self) -> None:
        """Nothing is held back."""


def machine() -> str:
    """What kind of machine this is."""
    cores = f"{os.cpu_count()} CPU cores ({platform.machine()}, {torch.backends.cpu.get_cpu_capability()})"
    return f"{cores}, {threads()}, Python {platform.python_version()}, torch {torch.__version__}"


def threads() -> str:
    """How many CPU threads there are, in words."""
    number = torch.get_num_threads()
    return f"{number} CPU thread{'s' * (number > 1)}"
