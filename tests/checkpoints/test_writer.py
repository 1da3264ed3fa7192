"""A safetensors file written tensor by tensor: the library's own bytes, or nothing."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from nvlm.checkpoints.stored import StoredTensors
from nvlm.checkpoints.writer import ShardWriter

TENSORS = {
    "b.weight": torch.arange(12, dtype=torch.bfloat16).view(3, 4),
    "a.weight": torch.arange(5, dtype=torch.bfloat16),
    "c.scale": torch.tensor(2.5, dtype=torch.float32),
    "é \"quoted\"": torch.arange(3, dtype=torch.int64),
}  # fmt: skip


@pytest.mark.parametrize("order", [sorted(TENSORS), sorted(TENSORS, reverse=True)])
def test_the_bytes_are_the_librarys_in_whatever_order_they_come(order: list[str], tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "model.safetensors", {"format": "pt"})
    planned = StoredTensors(tmp_path).tensors
    with ShardWriter(tmp_path / "ours.safetensors", {name: planned[name] for name in order}) as writer:
        for name in order:
            writer.write(name, TENSORS[name])
    assert (tmp_path / "ours.safetensors").read_bytes() == (tmp_path / "model.safetensors").read_bytes()


def test_a_view_that_is_not_contiguous(tmp_path: Path) -> None:
    square = torch.arange(9.0).view(3, 3)
    save_file({"a": square.T.contiguous()}, tmp_path / "model.safetensors")
    with ShardWriter(tmp_path / "ours.safetensors", StoredTensors(tmp_path).tensors) as writer:
        writer.write("a", square.T)
    assert torch.equal(load_file(tmp_path / "ours.safetensors")["a"], square.T)


@pytest.mark.parametrize("reason", [KeyboardInterrupt, OSError])
def test_nothing_is_left_of_a_file_that_was_not_finished(reason: type[BaseException], tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "model.safetensors")
    planned = StoredTensors(tmp_path).tensors

    def write_and_stop() -> None:
        with ShardWriter(tmp_path / "ours.safetensors", planned) as writer:
            writer.write("a.weight", TENSORS["a.weight"])
            raise reason

    with pytest.raises(reason):
        write_and_stop()
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
