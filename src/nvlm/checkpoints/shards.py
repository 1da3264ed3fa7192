"""How the tensors of a checkpoint are spread over safetensors files, and the index that says which file holds what."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["INDEX", "plan_shards", "shard_names", "write_index"]

INDEX = "model.safetensors.index.json"


def plan_shards(sizes: Mapping[str, int], limit: int) -> list[list[str]]:
    """Names in their order, cut into shards of at most `limit` bytes; a tensor that is larger has one for itself."""
    shards: list[list[str]] = [[]]
    filled = 0
    for name, size in sizes.items():
        if shards[-1] and filled + size > limit:
            shards.append([])
            filled = 0
        shards[-1].append(name)
        filled += size
    return shards


def shard_names(count: int) -> list[str]:
    """`model-00001-of-00046.safetensors` and so on; one shard is `model.safetensors`."""
    if count == 1:
        return ["model.safetensors"]
    return [f"model-{number:05d}-of-{count:05d}.safetensors" for number in range(1, count + 1)]


def write_index(folder: Path, shards: Sequence[Sequence[str]], total_bytes: int) -> None:
    """Write the index of several shards; a single one has none."""
    if len(shards) == 1:
        return
    files = {name: file for file, shard in zip(shard_names(len(shards)), shards, strict=True) for name in shard}
    index = {"metadata": {"total_size": total_bytes}, "weight_map": dict(sorted(files.items()))}
    (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
