"""Make one model of a comparison: train it, let it answer, note what it is. Everything resumes."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from nvlm.evaluation.answering import LanguageModel, LocalModel
from nvlm.evaluation.nano_suite import NANO
from nvlm.evaluation.records import Records
from nvlm.evaluation.runner import Answerer, Job, run
from nvlm.inference.load import load
from nvlm.modeling.model import NVLMForConditionalGeneration
from nvlm.planning.parameters import choose_learning, count_parameters
from nvlm.recipes.compare.backbones import Shared
from nvlm.recipes.compare.evidence import Evidence
from nvlm.recipes.compare.examples import first_answers
from nvlm.recipes.compare.measure import machine
from nvlm.recipes.compare.pools import TEXT_ONLY
from nvlm.recipes.compare.report import write_whole
from nvlm.recipes.compare.study import DONE, Planned
from nvlm.recipes.nano.build import save
from nvlm.training import checkpointing
from nvlm.training.loop import train

ANSWERS, MODEL = "answers", "model"
TOGETHER = 32
"""Questions in a batch."""
POINTS = 60
"""Of a training curve."""


def make(planned: Planned, shared: Shared, questions: int) -> None:
    """Do whatever is left of one model.

    Raises:
        nvlm.training.loop.Interrupted: it was stopped, and saved.
    """
    model, processor, phases = shared.begin(planned.variant)
    if not planned.trained:
        for phase in phases:
            train(phase.stage, model, phase.batches, phase.loss, planned.folder / phase.name, resume=True)
        save(model, planned.folder / MODEL, processor)
    written, processor = load(planned.folder / MODEL)
    answer(LocalModel(written, processor), tuple(NANO), questions, planned.folder / ANSWERS)
    choose_learning(written, phases[-1].stage.trainable)
    note = {
        "questions": questions,
        "scores": scores_in(planned.folder / ANSWERS, questions),
        "answers": first_answers(planned.folder / ANSWERS),
        "machine": machine(),
        "parameters": {part: (count.total, count.learning) for part, count in count_parameters(written).items()},
        "gates": gates_of(written),
        "seconds": {phase.name: _seconds(planned.folder / phase.name) for phase in phases},
        "curves": {phase.name: curve(planned.folder / phase.name / "log.jsonl") for phase in phases},
    }
    write_whole(planned.folder / DONE, json.dumps(note))


def answer(answerer: Answerer, tasks: tuple[str, ...], questions: int, folder: Path) -> None:
    """Ask what was not asked yet."""
    for task in tasks:
        run(Job(NANO[task], "test", limit=questions), answerer, batch=TOGETHER, folder=folder)


def answer_baseline(folder: Path, baseline: Path, questions: int) -> None:
    """Let the bare language model answer the text-only questions."""
    answer(LanguageModel(baseline), TEXT_ONLY, questions, folder)


def scores_in(folder: Path, questions: int) -> dict[str, list[float]]:
    """The scores of the first so many questions by task, in their order; those of tasks that were answered."""
    return {
        task: [record["score"] for record in Records(folder, task) if record["index"] < questions]
        for task in NANO
        if (folder / f"{task}.jsonl").exists()
    }


def by_question(scores: Mapping[str, Sequence[float]], questions: int) -> dict[str, dict[str, float]]:
    """Scores by task and question, which goes by its number: every model is asked the same ones in the same order."""
    return {task: {str(number): each for number, each in enumerate(row[:questions])} for task, row in scores.items()}


def evidence_of(planned: Planned, questions: int) -> Evidence:
    """What a finished model shows."""
    note: dict[str, Any] = json.loads((planned.folder / DONE).read_text(encoding="utf-8"))
    return Evidence(
        planned.name,
        planned.variant.seed,
        by_question(note["scores"], questions),
        curves={stage: [(step, loss) for step, loss in points] for stage, points in note["curves"].items()},
        gates=[(layer, value) for layer, value in note["gates"]],
        seconds=note["seconds"],
        parameters={part: (total, learning) for part, (total, learning) in note["parameters"].items()},
        answers={task: (text, score) for task, (text, score) in note["answers"].items()},
        machine=note["machine"],
    )


def gates_of(model: NVLMForConditionalGeneration) -> list[tuple[str, float]]:
    """Tanh of every gate: what cross-attention's update is multiplied by."""
    found = []
    for layer, block in zip(model.config.cross_attention_layers, model.cross_attentions(), strict=True):
        found.append((f"layer {layer + 1}", float(torch.tanh(block.gate.detach().float()))))
        if block.feed_forward is not None:
            value = torch.tanh(block.feed_forward_gate.detach().float())
            found.append((f"layer {layer + 1}, feed-forward", float(value)))
    return found


def curve(log: Path, points: int = POINTS) -> list[tuple[int, float]]:
    """A stage's losses: at most so many means over neighbouring steps, each at its last step (counted from 1)."""
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    losses = [(int(row["step"]) + 1, float(row["loss"])) for row in rows if "loss" in row]
    size = max(1, -(-len(losses) // points))
    groups = [losses[at : at + size] for at in range(0, len(losses), size)]
    return [(group[-1][0], sum(loss for _, loss in group) / len(group)) for group in groups]


def _seconds(folder: Path) -> float:
    found = checkpointing.latest(folder)
    return 0.0 if found is None else float(found.numbers["seconds"])
