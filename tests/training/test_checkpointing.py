from pathlib import Path

import pytest
import torch

from nvlm.training import checkpointing, tensor_files
from nvlm.training.freezing import freeze
from nvlm.training.optim import build_optimizers, set_rates
from tests.training.toy import STAGE, Toy, batch_of, same_weights


def stepped(steps: int = 2) -> tuple[Toy, dict[str, torch.optim.Optimizer]]:
    model = Toy().train()
    optimizers = build_optimizers(model, STAGE)
    for step in range(steps):
        set_rates(optimizers, STAGE, step)
        model.loss(batch_of(step)[0]).backward()
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
    return model, optimizers


def save(folder: Path, step: int) -> Path:
    return checkpointing.save(folder, step, tensor_files.state(*stepped(1)), {"stage": "toy"})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_checkpoint_brings_back_weights_and_optimisers(tmp_path):
    model, optimizers = stepped()
    checkpointing.save(tmp_path, 2, tensor_files.state(model, optimizers), {"stage": "toy", "seconds": 1.5})
    fresh = Toy()
    others = build_optimizers(fresh, STAGE)
    checkpoint = checkpointing.latest(tmp_path)
    assert (checkpoint.step, checkpoint.numbers) == (2, {"stage": "toy", "seconds": 1.5})
    checkpointing.restore(checkpoint, fresh, others)
    assert same_weights(fresh, model)
    twins = {id(parameter): other for parameter, other in zip(model.parameters(), fresh.parameters(), strict=True)}
    for kind, optimizer in optimizers.items():
        for parameter, state in optimizer.state.items():
            found = others[kind].state[twins[id(parameter)]]
            assert found.keys() == state.keys()
            assert all(torch.equal(torch.as_tensor(found[key]), torch.as_tensor(value)) for key, value in state.items())


def test_only_safetensors_and_json_are_written(tmp_path):
    state = {"step": 3, "held": [torch.arange(3), b"bytes"]}
    tensors = tensor_files.state(*stepped(1))
    path = checkpointing.save(tmp_path, 1, tensors, {"stage": "toy"}, lanes={0: state})
    assert {each.suffix for each in path.rglob("*") if each.is_file()} == {".json", ".safetensors"}
    assert names(path) == ["lanes", "provenance.json", "state.json", "tensors"]


def test_frozen_parameters_are_not_saved(tmp_path):
    model = Toy()
    freeze(model, ("body.*",))
    tensors = tensor_files.state(model, build_optimizers(model, STAGE))
    assert set(tensors) == {"model.body.0.weight", "model.body.0.bias", "model.body.3.weight", "model.body.3.bias"}


def test_the_last_two_are_kept(tmp_path):
    for step in (1, 2, 10, 100):
        save(tmp_path, step)
    assert names(tmp_path) == ["latest", "step-0000010", "step-0000100"]
    assert checkpointing.latest(tmp_path).step == 100


def test_an_empty_folder_has_no_checkpoint(tmp_path, capsys):
    assert checkpointing.latest(tmp_path) is None
    assert capsys.readouterr() == ("", "")


def test_an_unfinished_checkpoint_is_never_read_and_later_removed(tmp_path):
    save(tmp_path, 1)
    save(tmp_path, 2).rename(tmp_path / "step-0000002.part")
    assert checkpointing.latest(tmp_path).step == 1
    save(tmp_path, 3)
    assert names(tmp_path) == ["latest", "step-0000001", "step-0000003"]


def tensors_of(path: Path) -> Path:
    return next((path / "tensors").iterdir())


def cut_tensors(path: Path) -> None:
    data = tensors_of(path).read_bytes()
    tensors_of(path).write_bytes(data[: len(data) // 2])


def cut_header(path: Path) -> None:
    tensors_of(path).write_bytes(b"\x10")


def lose_tensors(path: Path) -> None:
    tensors_of(path).unlink()


def cut_numbers(path: Path) -> None:
    (path / "state.json").write_text('{"step": 2, "sta')


def lose_step(path: Path) -> None:
    (path / "state.json").write_text("{}")


@pytest.mark.parametrize("damage", [cut_tensors, cut_header, lose_tensors, cut_numbers, lose_step])
def test_a_damaged_checkpoint_is_passed_over_loudly(tmp_path, capsys, damage):
    save(tmp_path, 1)
    damage(save(tmp_path, 2))
    assert checkpointing.latest(tmp_path).step == 1
    said = capsys.readouterr().err
    assert "step-0000002 cannot be read" in said
    assert "trying the one before" in said


def test_it_says_so_when_no_checkpoint_can_be_read(tmp_path, capsys):
    cut_tensors(save(tmp_path, 1))
    assert checkpointing.latest(tmp_path) is None
    assert "starts again from its first step" in capsys.readouterr().err


def test_what_is_pointed_to_comes_first(tmp_path):
    """A process may die after a checkpoint was renamed and before it is pointed to."""
    save(tmp_path, 1)
    save(tmp_path, 2)
    (tmp_path / "latest").write_text("step-0000001\n")
    assert checkpointing.latest(tmp_path).step == 1
    (tmp_path / "latest").write_text("step-0000009\n")
    assert checkpointing.latest(tmp_path).step == 2


def test_a_checkpoint_of_an_earlier_version_is_refused(tmp_path):
    (tmp_path / "step-0000005").mkdir()
    (tmp_path / "step-0000005" / "state.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match="written by an earlier version of nvlm"):
        checkpointing.latest(tmp_path)


def test_damaged_later_checkpoints_do_not_push_out_the_new_one(tmp_path):
    save(tmp_path, 1)
    for step in (8, 9):
        cut_tensors(save(tmp_path, step))
    save(tmp_path, 2)
    save(tmp_path, 3)
    assert checkpointing.latest(tmp_path).step == 3


def test_a_failed_write_leaves_the_checkpoint_before_it(tmp_path, monkeypatch):
    save(tmp_path, 1)

    def full(*args: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(tensor_files, "write", full)
    with pytest.raises(OSError, match="no space"):
        save(tmp_path, 2)
    monkeypatch.undo()
    assert checkpointing.latest(tmp_path).step == 1


def test_a_checkpoint_of_other_parameters_is_refused(tmp_path):
    model = Toy()
    freeze(model, ("body.*",))
    checkpointing.save(tmp_path, 1, tensor_files.state(model, build_optimizers(model, STAGE)), {})
    whole = Toy()
    with pytest.raises(
        ValueError, match=r"holds 4 tensors, the stage trains 6; they differ in \['embed.weight', 'lm_head.weight'\]"
    ):
        checkpointing.restore(checkpointing.latest(tmp_path), whole, build_optimizers(whole, STAGE))
