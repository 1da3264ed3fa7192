"""Peak memory of a training process, by starting one."""

import contextlib
import multiprocessing
import os
import re
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from nvlm.recipes.compare.backbones import Shared, open_backbones, share
from nvlm.recipes.compare.measure import Trainee, step_seconds
from nvlm.recipes.nano.stages import NanoRecipe
from nvlm.recipes.nano.variant import Variant

STEPS = 2
"""After a first one: what optimisers keep is there by then."""

STATUS = Path("/proc/self/status")


def peak_memory(shared: Shared, variant: Variant) -> float | None:
    """MiB that a process has at most in memory while it trains a variant for three steps of its last stage.

    A fresh process: in one that trained other variants before, memory that was given back and kept for later would
    count. None where the system does not tell (anywhere but on Linux).
    """
    if not STATUS.exists():
        return None
    places = shared.backbones.folder, shared.pictures.folder
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_train, shared.recipe, *places, variant, torch.get_num_threads()).result()


def _train(recipe: NanoRecipe, backbones: Path, pictures: Path, variant: Variant, threads: int) -> float | None:
    torch.set_num_threads(threads)
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        shared = share(recipe, open_backbones(backbones), pictures, say=print)
        model, _, phases = shared.begin(variant)
        step_seconds(Trainee(model, phases[-1]), STEPS)
    return highest(STATUS.read_text(encoding="utf-8"))


def highest(status: str) -> float | None:
    """The highest resident set in MiB that a process's status file tells.

    >>> highest("VmHWM:\\t  2048 kB")
    2.0
    """
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) / 1024 if found else None
