"""Shards: cut by size, named and indexed as NVIDIA's; and what is said about folders that are broken."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nvlm.checkpoints.shards import INDEX, plan_shards, shard_names, write_index
from nvlm.checkpoints.stored import Stored, StoredTensors


def test_shards_are_cut_by_size_in_order() -> None:
    sizes = {"a": 4, "b": 4, "c": 2, "d": 20, "e": 1, "f": 9}
    assert plan_shards(sizes, 10) == [["a", "b", "c"], ["d"], ["e", "f"]]
    assert plan_shards(sizes, 1) == [["a"], ["b"], ["c"], ["d"], ["e"], ["f"]]
    assert plan_shards(sizes, 1000) == [list(sizes)]


def test_names_and_index(tmp_path: Path) -> None:
    assert shard_names(1) == ["model.safetensors"]
    assert shard_names(46)[0] == "model-00001-of-00046.safetensors"
    write_index(tmp_path, [["a"]], 1)
    assert list(tmp_path.iterdir()) == []
    write_index(tmp_path, [["b"], ["a", "c"]], 12)
    assert json.loads((tmp_path / INDEX).read_text()) == {
        "metadata": {"total_size": 12},
        "weight_map": {
            "a": "model-00002-of-00002.safetensors",
            "b": "model-00001-of-00002.safetensors",
            "c": "model-00002-of-00002.safetensors",
        },
    }


def test_what_is_stored_is_known_from_the_headers(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2, 3), "b": torch.ones(4, dtype=torch.bfloat16)}, tmp_path / "model.safetensors")
    stored = StoredTensors(tmp_path)
    assert stored.tensors == {
        "a": Stored("model.safetensors", "F32", (2, 3), 24),
        "b": Stored("model.safetensors", "BF16", (4,), 8),
    }
    assert torch.equal(stored.read("b"), torch.ones(4, dtype=torch.bfloat16))


@pytest.fixture
def copy(published: Path, tmp_path: Path) -> Path:
    return shutil.copytree(published, tmp_path / "copy")


def test_a_shard_that_is_missing(copy: Path) -> None:
    (copy / "model-00003-of-00005.safetensors").unlink()
    with pytest.raises(ValueError, match=r"lacks model-00003-of-00005\.safetensors, .* downloaded only in part"):
        StoredTensors(copy)


@pytest.mark.parametrize("left", [0, 4, 100, -1])
def test_a_shard_that_was_cut_short(copy: Path, left: int) -> None:
    file = copy / "model-00002-of-00005.safetensors"
    file.write_bytes(file.read_bytes()[:left])
    with pytest.raises(ValueError, match=r"model-00002-of-00005\.safetensors is no whole safetensors file"):
        StoredTensors(copy)


def test_an_index_that_is_wrong(copy: Path) -> None:
    index = json.loads((copy / INDEX).read_text())
    index["weight_map"]["mlp1.9.weight"] = "model-00001-of-00005.safetensors"
    (copy / INDEX).write_text(json.dumps(index))
    with pytest.raises(ValueError, match=r"says that mlp1\.9\.weight is in model-00001.*, but it is not there"):
        StoredTensors(copy)
    del index["weight_map"]["mlp1.9.weight"], index["weight_map"]["mlp1.3.weight"]
    (copy / INDEX).write_text(json.dumps(index))
    with pytest.raises(ValueError, match=r"holds mlp1\.3\.weight, which the index does not name"):
        StoredTensors(copy)
    (copy / INDEX).write_text('{"weight_map": {"mlp1')
    with pytest.raises(ValueError, match="no index of safetensors files; was it cut short"):
        StoredTensors(copy)
    (copy / INDEX).unlink()
    with pytest.raises(ValueError, match=r"holds 5 safetensors files but no model\.safetensors\.index\.json"):
        StoredTensors(copy)


def test_a_tensor_that_is_there_twice(copy: Path) -> None:
    shutil.copy(copy / "model-00001-of-00005.safetensors", copy / "model-00002-of-00005.safetensors")
    with pytest.raises(ValueError, match=r"is in model-00001-of-00005\.safetensors and again in model-00002"):
        StoredTensors(copy)


def test_no_weights_and_pickles(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no weights"):
        StoredTensors(tmp_path)
    (tmp_path / "pytorch_model-00001-of-00046.bin").write_bytes(b"")
    with pytest.raises(ValueError, match=r"00046\.bin, a pickle .* safetensors\.torch\.save_file"):
        StoredTensors(tmp_path)
