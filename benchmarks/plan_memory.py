"""Peak memory of a nano run as `nvlm plan` predicts it, beside what three steps of it take on this machine (Linux).

    .venv/bin/python benchmarks/plan_memory.py

The plan is for rows as the run has them: as many samples as its largest row holds, each of their mean size, which
`--text` and `--tiles` say on the command line. Both leave out what Python and its libraries take before the model is
there. Every run has a process of its own, whose
peak is the kernel's high-water mark of resident memory. It is measured three times: with the next-token loss and every
tensor in pages of its own, which is what a plan predicts; with nano's alignment loss, which no plan knows, besides; and
with the C library's usual allocator, which keeps freed memory in pieces, as well.
"""

import ctypes
import gc
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from transformers import InternVLVisionConfig, InternVLVisionModel, PreTrainedModel
from transformers.feature_extraction_utils import BatchFeature

from nvlm.modeling.config import NVLMConfig
from nvlm.modeling.loss import IGNORED
from nvlm.planning.activations import measure_activations
from nvlm.planning.layouts import skeleton
from nvlm.planning.memory import SINGLE, gpu_memory
from nvlm.planning.parameters import choose_learning, count_parameters
from nvlm.planning.sharding import Layout
from nvlm.planning.workload import Workload, shape_of
from nvlm.recipes.known import find_recipe
from nvlm.recipes.nano import stages
from nvlm.recipes.nano.batches import MixedBatches
from nvlm.recipes.nano.build import build_model
from nvlm.recipes.nano.language import build_language_model, build_processor
from nvlm.recipes.nano.phases import stage_loss
from nvlm.recipes.nano.pictures import Pictures, open_pictures
from nvlm.recipes.nano.sizes import VISION
from nvlm.recipes.workloads import workload_of
from nvlm.training.loop import train
from nvlm.training.stages import Stage

PICTURES, STEPS = 64, 3
WITHIN = 0.15
PAGES = {"MALLOC_MMAP_THRESHOLD_": "65536"}
LOSSES = ("plain", "aligned")


def main() -> int:
    """Print the table; 1 when a prediction is off by more than it promises."""
    off = []
    with tempfile.TemporaryDirectory() as folder:
        pictures_in(Path(folder))
        print(f"{'':12}{'predicted':>14}{'measured':>14}{'ratio':>8}{'+ alignment':>14}{'+ allocator':>14}")
        for architecture in "DXH":
            for stage in ("pretrain", "sft"):
                mine = predicted(architecture, stage, Path(folder))
                real, aligned = (in_own_process(architecture, stage, loss, folder, PAGES) for loss in LOSSES)
                usual = in_own_process(architecture, stage, LOSSES[-1], folder, {})
                off.append(abs(mine / real - 1))
                shown = "".join(f"{size / 1e6:11.0f} MB" for size in (mine, real))
                rest = "".join(f"{size / 1e6:11.0f} MB" for size in (aligned, usual))
                print(f"{architecture} {stage:10}{shown}{mine / real:8.2f}{rest}", flush=True)
    return int(max(off) > WITHIN)


def predicted(architecture: str, stage: str, folder: Path) -> int:
    """Bytes, as `nvlm plan nano` says for samples of the size that the largest row has on average."""
    recipe = find_recipe("nano", architecture)
    config, workload = recipe.model.config(), workload_of(recipe, getattr(recipe, stage))
    batches = batches_of(architecture, stage, folder)
    row = max((part for step in range(STEPS) for part in batches(step)), key=lambda part: part["input_ids"].shape[1])
    workload = as_large_as(row, config, workload)
    model = skeleton(config)
    choose_learning(model, workload.trainable)
    activations = measure_activations(config, workload, torch.float32)
    return gpu_memory(config, count_parameters(model), activations, Layout(), workload.moments, SINGLE).peak


def as_large_as(row: BatchFeature, config: NVLMConfig, workload: Workload) -> Workload:
    """The workload with so many samples of such a size that they make a row like this one."""
    samples = int((row["position_ids"] == 0).sum())
    tiles = max(1, round(len(row["image_features"]) / samples) - 1)  # the thumbnail is none
    pictured = shape_of(config, replace(workload, text=1, supervised=1, tiles=tiles)).sequence - 1
    text = max(1, round(row["input_ids"].shape[1] / samples) - pictured)
    supervised = min(text, max(1, round(int((row["labels"] != IGNORED).sum()) / samples)))
    return replace(workload, rows=samples, text=text, tiles=tiles, supervised=supervised)


def in_own_process(architecture: str, stage: str, loss: str, folder: str, environment: dict[str, str]) -> int:
    """Bytes, measured."""
    command = [sys.executable, __file__, architecture, stage, loss, folder]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)
    if done.returncode:
        sys.exit(done.stderr)
    return int(done.stdout.splitlines()[-1])


def measure(architecture: str, name: str, loss: str, folder: Path) -> int:
    """Run a few steps of a stage; how much the process grew at most."""
    stage = stages.for_architecture(getattr(stages, name.upper()), architecture, architecture != "D")

    def run(stage: Stage) -> None:
        batches = batches_of(architecture, name, folder, stage.batch)
        model = build_model(architecture, encoder(), build_language_model())
        loss_of = stage_loss(model, stages.ALIGNMENT_WEIGHTS[name]) if loss == "aligned" else next_token_loss(model)
        with tempfile.TemporaryDirectory() as out:
            train(stage, model, batches, loss_of, Path(out) / "run")

    run(replace(stage, steps=1, batch=stages.TEXT_ROWS + 1))  # loads and remembers what every run does
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # starts a new high-water mark
    before = resident("VmRSS")
    run(replace(stage, steps=STEPS))
    return resident("VmHWM") - before


def batches_of(architecture: str, name: str, folder: Path, batch: int | None = None) -> MixedBatches:
    """The batches of a stage, of the recipe's size if nothing is said."""
    text = stages.TEXT_ROWS if name == "sft" else 0
    shared: Stage = getattr(stages, name.upper())
    return MixedBatches(build_processor(architecture), pictures_in(folder), batch or shared.batch, text, seed=0)


def next_token_loss(model: PreTrainedModel) -> Callable[[BatchFeature], Tensor]:
    """The paper's loss alone."""
    return lambda part: model(**{name: part[name] for name in part if name not in ("shown_tokens", "share")}).loss


def encoder() -> InternVLVisionModel:
    """The nano encoder, the same every time."""
    torch.manual_seed(0)
    return InternVLVisionModel(InternVLVisionConfig(**VISION))


def pictures_in(folder: Path) -> Pictures:
    """Some pictures with their features."""
    return open_pictures(folder / "pictures", encoder(), PICTURES, print)


def resident(name: str) -> int:
    """Bytes of resident memory, now (`VmRSS`) or at most (`VmHWM`)."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    if len(sys.argv) == 5:
        print(measure(*sys.argv[1:4], Path(sys.argv[4])))
        sys.exit()
    sys.exit(main())
