"""A layout as `nvlm plan` writes it: "FSDP 16 x HSDP 8"."""

import os
import re
from typing import Any

from nvlm.planning.sharding import Layout

WAYS = {"FSDP": "fsdp", "TP": "tensor", "HSDP": "replicas"}


def find_layout(written: str | None, recompute: bool = False) -> Layout:
    """The layout of a run; without words, every process has the whole model.

    >>> find_layout("FSDP 16 x HSDP 8").gpus
    128

    Raises:
        ValueError: other words.
    """
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if written is None:
        return Layout(replicas=started, recompute=recompute)
    sizes: dict[str, Any] = {}
    for part in re.split(r"\s*[x×,]\s*", written.strip()):
        found = re.fullmatch(r"([A-Za-z]+)\s*(\d+)", part)
        if found is None or found[1].upper() not in WAYS or int(found[2]) < 1:
            raise ValueError(f"{part!r} in the layout {written!r} is none of FSDP N, TP N, HSDP N")
        sizes[WAYS[found[1].upper()]] = int(found[2])
    return Layout(**sizes, recompute=recompute)
