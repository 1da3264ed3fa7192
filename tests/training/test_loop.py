import json
import os
import re
import signal
import sys
import time
from contextlib import suppress
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import torch
from torch.distributed.checkpoint.api import CheckpointException

from nvlm.training import checkpointing
from nvlm.training.engine import Engine
from nvlm.training.lanes import StepBatches
from nvlm.training.loop import Interrupted, train
from tests.training import lanes
from tests.training.together import alone
from tests.training.toy import STAGE, Toy, batch_of, run, same_weights


def losses(folder: Path) -> list[float]:
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(len(rows)))
    return [row["loss"] for row in rows]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run in one go: its folder and model."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, run(folder)


def test_training_lowers_the_loss(whole):
    folder, _ = whole
    found = losses(folder)
    assert len(found) == STAGE.steps
    assert found[-1] < found[0]


def test_dropout_is_active_so_that_randomness_matters(tmp_path, whole):
    run(tmp_path, replace(STAGE, seed=8))
    assert losses(tmp_path) != losses(whole[0])


@pytest.mark.parametrize("stop", [1, 5, 11])
def test_a_resumed_run_is_the_run_in_one_go(tmp_path, whole, stop):
    with pytest.raises(Interrupted, match=f"toy stopped after step {stop} of 12 and saved; continue with --resume"):
        run(tmp_path, stop_after=stop)
    torch.manual_seed(123)
    model = run(tmp_path, resume=True)
    assert losses(tmp_path) == losses(whole[0])
    assert same_weights(model, whole[1])


def test_a_run_may_be_interrupted_many_times(tmp_path, whole):
    for stop in (2, 3, 7):
        with pytest.raises(Interrupted):
            run(tmp_path, resume=True, stop_after=stop)
    assert same_weights(run(tmp_path, resume=True), whole[1])
    assert losses(tmp_path) == losses(whole[0])


def test_adamw_alone_resumes_exactly_too(tmp_path):
    stage = replace(STAGE, matrix_lr=0.0, weight_decay=0.1)
    model = run(tmp_path / "whole", stage)
    with pytest.raises(Interrupted):
        run(tmp_path / "parts", stage, stop_after=4)
    assert same_weights(run(tmp_path / "parts", stage, resume=True), model)


def test_a_partly_frozen_stage_resumes_exactly(tmp_path):
    stage = replace(STAGE, trainable=("body.*",))
    model = run(tmp_path / "whole", stage)
    with pytest.raises(Interrupted):
        run(tmp_path / "parts", stage, stop_after=4)
    assert same_weights(run(tmp_path / "parts", stage, resume=True), model)
    assert torch.equal(model.embed.weight, Toy().embed.weight)


def test_a_run_whose_last_checkpoint_is_damaged_goes_on_from_the_one_before(tmp_path, whole):
    with pytest.raises(Interrupted):
        run(tmp_path, save_every=0, stop_after=6)
    path = next((checkpointing.steps(tmp_path)[-1] / "tensors").iterdir())
    path.write_bytes(path.read_bytes()[:100])
    assert same_weights(run(tmp_path, resume=True), whole[1])
    assert losses(tmp_path) == losses(whole[0])


def test_a_finished_run_is_left_as_it_is_by_resume(tmp_path):
    model = run(tmp_path)
    before = losses(tmp_path)
    assert same_weights(run(tmp_path, resume=True), model)
    assert losses(tmp_path) == before


def test_a_finished_run_is_not_written_to_again(tmp_path):
    """Two processes may share finished backbones: neither touches their log or checkpoints."""
    run(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    run(tmp_path, resume=True)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == before


def test_resume_without_a_checkpoint_starts(tmp_path, whole):
    assert same_weights(run(tmp_path, resume=True), whole[1])


def test_an_existing_run_is_refused_without_resume(tmp_path):
    run(tmp_path)
    with pytest.raises(FileExistsError, match="already holds a run of toy; continue it with --resume"):
        run(tmp_path)


def test_a_run_of_another_stage_is_refused(tmp_path):
    run(tmp_path, replace(STAGE, steps=2))
    with pytest.raises(ValueError, match="holds a run of the stage 'toy', and not of 'other'"):
        run(tmp_path, replace(STAGE, name="other"), resume=True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"steps": 20}, "steps 2, and not 20"),
        ({"batch": 8}, "batch 4, and not 8"),
        ({"peak_lr": 0.5}, "peak_lr 0.01, and not 0.5"),
        ({"trainable": ("body.*",)}, "trainable ['*'], and not ['body.*']"),
        ({"seed": 8}, "seed 7, and not 8"),
    ],
)
def test_a_run_of_the_same_stage_with_other_settings_is_refused(tmp_path, change, said):
    stage = replace(STAGE, steps=2)
    run(tmp_path, stage)
    with pytest.raises(ValueError, match=re.escape(f"was begun with {said}, so its steps would not be those of one")):
        run(tmp_path, replace(stage, **change), resume=True)


def test_checkpoints_are_written_as_often_as_asked(tmp_path):
    run(tmp_path, save_every=0)
    assert [path.name for path in checkpointing.steps(tmp_path)] == ["step-0000011", "step-0000012"]


def test_a_run_that_saves_in_the_background_is_the_same_run(tmp_path, whole):
    engine = Engine(background=True)
    with pytest.raises(Interrupted):
        train(STAGE, model := Toy(), batch_of, model.loss, tmp_path, engine=engine, save_every=0, stop_after=7)
    assert checkpointing.latest(tmp_path).step == 7
    train(STAGE, model := Toy(), batch_of, model.loss, tmp_path, engine=engine, save_every=0, resume=True)
    assert same_weights(model, whole[1])
    assert losses(tmp_path) == losses(whole[0])
    assert not list(tmp_path.glob("*.part"))


def test_a_background_save_that_fails_stops_the_run(tmp_path, monkeypatch):
    def full(*arguments: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("torch.distributed.checkpoint.hf_storage.HuggingFaceStorageWriter.write_data", full)
    model = Toy()
    with pytest.raises(CheckpointException, match="no space left on device"):
        train(STAGE, model, batch_of, model.loss, tmp_path, engine=Engine(background=True), save_every=0)
    assert checkpointing.steps(tmp_path) == []


def test_other_lanes_are_refused(tmp_path):
    lanes.run(tmp_path, "D", kinds=("text", "both"))
    with pytest.raises(ValueError, match="was begun with lanes 2, and not 1, so its steps would hold other samples"):
        lanes.run(tmp_path, "D", kinds=("text",), resume=True)


def test_lanes_of_parts_may_be_dealt_anew(tmp_path):
    stage, model, other = replace(STAGE, steps=4), Toy(), Toy()
    for toy in (model, other):
        toy.body[2] = torch.nn.Identity()
    train(stage, model, batch_of, model.loss, tmp_path / "one")
    for last, count in ((2, 1), (3, 2), (None, 1)):
        with suppress(Interrupted):
            train(stage, other, StepBatches(batch_of, count), other.loss, tmp_path / "n", resume=True, stop_after=last)
    assert losses(tmp_path / "n") == losses(tmp_path / "one")
    assert same_weights(model, other)


def test_lanes_of_parts_are_the_step_in_another_order(tmp_path):
    stage, model, other = replace(STAGE, steps=3), Toy(), Toy()
    for toy in (model, other):
        toy.body[2] = torch.nn.Identity()
    train(stage, model, batch_of, model.loss, tmp_path / "one")
    train(stage, other, StepBatches(batch_of, 2), other.loss, tmp_path / "two")
    assert losses(tmp_path / "two") == losses(tmp_path / "one")
    assert same_weights(model, other)


def test_parts_of_a_step_add_up(tmp_path):
    """One part of twice the size, without dropout, gives the same weights up to rounding."""
    stage, model, other = replace(STAGE, steps=3), Toy(), Toy()
    for toy in (model, other):
        toy.body[2] = torch.nn.Identity()
    train(stage, model, batch_of, model.loss, tmp_path / "parts")
    joined = lambda step: [tuple(torch.cat(tensors) for tensors in zip(*batch_of(step), strict=True))]  # noqa: E731
    train(stage, other, joined, lambda part: 2 * other.loss(part), tmp_path / "joined")
    assert losses(tmp_path / "joined") == pytest.approx(losses(tmp_path / "parts"), rel=1e-2)


def test_a_loss_that_is_not_finite_stops_the_run_and_saves_nothing(tmp_path):
    model = Toy()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(FloatingPointError, match=r"the loss of step 0 is nan; lower the rate \(now 0.01\)"):
        train(STAGE, model, batch_of, lambda part: model.loss(part) * float("nan"), tmp_path)
    assert checkpointing.steps(tmp_path) == []
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_gradient_that_is_not_finite_stops_the_run_before_it_is_applied(tmp_path):
    model = Toy()
    before = model.embed.weight.clone()
    with pytest.raises(FloatingPointError, match="the gradient norm of step 0 is nan"):
        train(
            STAGE, model, batch_of, lambda part: model.loss(part) + torch.sqrt(model.embed.weight.sum() * 0), tmp_path
        )
    assert torch.equal(model.embed.weight, before)


def test_evaluation_touches_neither_modes_nor_randomness(tmp_path, whole):
    modes = []
    model = Toy()

    def evaluate() -> dict[str, float]:
        modes.append(model.body[2].training)
        torch.rand(3)
        return {"noise": 0.5}

    train(STAGE, model, batch_of, model.loss, tmp_path, evaluate=evaluate, evaluate_every=4)
    assert modes == [False] * 3
    assert model.body[2].training
    assert same_weights(model, whole[1])
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "scores" in row] == [3, 7, 11]


def test_what_trains_is_reported(tmp_path, capsys):
    run(tmp_path, replace(STAGE, steps=1, trainable=("body.*",)))
    assert "toy: trains body.* 0.00 M; frozen embed 0.00 M, lm_head 0.00 M" in capsys.readouterr().out


def slow_run(folder: Path, seconds: float) -> None:
    """A run whose fourth step takes some seconds; what it is stopped with stands in a file."""
    model = Toy()

    def slow_at_three(step):
        if step == 3:
            (folder / "reached").touch()
            time.sleep(seconds)
        return batch_of(step)

    try:
        train(STAGE, model, slow_at_three, model.loss, folder / "run")
    except Interrupted as stopped:
        (folder / "said").write_text(str(stopped))
        sys.exit(130)


def reached(folder: Path, process: BaseProcess) -> None:
    """Wait until it is in its fourth step."""
    while not (folder / "reached").exists():
        assert process.is_alive(), "the run ended before its fourth step"
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_step_saves_and_resumes_exactly(tmp_path, whole, number):
    process = alone(slow_run, tmp_path, tmp_path, 0.5)
    reached(tmp_path, process)
    os.kill(process.pid, number)
    process.join()
    assert process.exitcode == 130
    assert "toy stopped after step 4 of 12 and saved" in (tmp_path / "said").read_text()
    assert same_weights(run(tmp_path / "run", resume=True), whole[1])
    assert losses(tmp_path / "run") == losses(whole[0])


def test_a_second_interrupt_stops_at_once(tmp_path):
    process = alone(slow_run, tmp_path, tmp_path, 60)
    reached(tmp_path, process)
    while process.is_alive():
        os.kill(process.pid, signal.SIGINT)
        process.join(0.2)
    assert process.exitcode not in (0, 130)
    assert checkpointing.steps(tmp_path / "run") == []


def test_curves_are_drawn_when_a_run_ends_however_it_does(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr("nvlm.training.loop.draw", lambda folder: drawn.append((folder / "log.jsonl").exists()))
    with pytest.raises(Interrupted):
        run(tmp_path, stop_after=2)
    assert drawn == [True]
    run(tmp_path, resume=True)
    assert drawn == [True, True]


def test_handlers_are_put_back(tmp_path):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    run(tmp_path)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
