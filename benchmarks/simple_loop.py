"""nano's fine-tuning by the engine (shards, packed rows, stored features) beside simple loops.

    OMP_NUM_THREADS=1 python benchmarks/simple_loop.py

The simple loop is what one writes first: every step draws its pictures, cuts them, puts them through the frozen encoder
and pads its rows into one batch; then forward, backward, and the same optimisers. The grouped loop pads rows of like
length together. The engine reads drawn pictures from shards and their features from the store, packs, logs and saves.
Same samples (16 pictures and 8 texts a step), same loss, in turns. What the engine draws and encodes once for all three
models is timed apart; the last line adds it up for the recipe as it is. Times are CPU times of this process, of all
that it does: with one thread, the wall time on a machine that does nothing else.
"""

import argparse
import contextlib
import io
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from transformers.feature_extraction_utils import BatchFeature

from nvlm.data.sample import Message
from nvlm.data.synthetic.tasks import to_sample
from nvlm.modeling.model import NVLMForConditionalGeneration
from nvlm.processing import NVLMProcessor
from nvlm.processing.normalise import normalise
from nvlm.processing.tiling import choose_grid, cut
from nvlm.recipes.nano import stages
from nvlm.recipes.nano.backbones import read_backbones
from nvlm.recipes.nano.batches import ROOM, MixedBatches
from nvlm.recipes.nano.build import build_model
from nvlm.recipes.nano.language import build_processor, text_rows
from nvlm.recipes.nano.phases import stage_loss
from nvlm.recipes.nano.pictures import Pictures, open_pictures, picture
from nvlm.recipes.nano.sizes import MAX_TILES, TILE_SIZE
from nvlm.recipes.nano.stages import NanoRecipe
from nvlm.training.freezing import freeze
from nvlm.training.loop import train
from nvlm.training.optim import build_optimizers, set_rates
from nvlm.training.stages import Stage

WAYS = ("simple", "grouped", "engine")


def padded_parts(processor: NVLMProcessor, step: int, pictures: int, texts: int, way: str) -> Iterator[BatchFeature]:
    """A step's batch from the ground up: drawn, cut, normalised, padded."""
    samples: list[tuple[list[Message], np.ndarray | None, list[tuple[int, int]]]] = []
    for number in range(step * pictures, (step + 1) * pictures):
        problem = picture(number)
        assert problem.drawing is not None
        grid = choose_grid(*problem.drawing.image.size, TILE_SIZE, MAX_TILES)
        views = cut(problem.drawing.image, grid, TILE_SIZE)
        samples.append((to_sample(problem, "").messages, views, [grid]))
    samples += [(messages, None, []) for messages in text_rows("train", "sft", step * texts, texts)]
    lengths = [len(processor.layout(messages, grids)) for messages, _, grids in samples]
    own: list[int] = []
    for index in sorted(range(len(samples)), key=lengths.__getitem__):
        if way == "grouped" and own and (len(own) + 1) * lengths[index] > ROOM.tokens:
            yield _padded(processor, [samples[each] for each in own])
            own = []
        own.append(index)
    yield _padded(processor, [samples[each] for each in own])


def _padded(
    processor: NVLMProcessor, samples: list[tuple[list[Message], np.ndarray | None, list[tuple[int, int]]]]
) -> BatchFeature:
    part = processor.encode([messages for messages, _, _ in samples], grids=[grids for _, _, grids in samples])
    views = [views for _, views, _ in samples if views is not None]
    return BatchFeature(part | ({"pixel_values": normalise(np.concatenate(views))} if views else {}))


def loop(stage: Stage, model: NVLMForConditionalGeneration, processor: NVLMProcessor, way: str) -> None:
    """Train in a loop of a few lines."""
    model.train()
    freeze(model, stage.trainable)
    optimizers = build_optimizers(model, stage)
    for step in range(stage.steps):
        parts = list(padded_parts(processor, step, stage.batch - stages.TEXT_ROWS, stages.TEXT_ROWS, way))
        supervised = sum(int((part["labels"] != -100).sum()) for part in parts)
        for part in parts:
            model(**part, num_items_in_batch=supervised, use_cache=False).loss.backward()
        torch.nn.utils.clip_grad_norm_([each for each in model.parameters() if each.requires_grad], stage.clip)
        set_rates(optimizers, stage, step)
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()


def engine(stage: Stage, model: NVLMForConditionalGeneration, processor: NVLMProcessor, pictures: Pictures) -> None:
    """Train as ``nvlm train nano`` does, but for the alignment loss, which the simple loop does not know."""
    batches = MixedBatches(processor, pictures, stage.batch, stages.TEXT_ROWS, stage.seed, aligned=False)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        train(stage, model, batches, stage_loss(model, 0.0), Path(folder) / "run")


def seconds_a_step(architecture: str, pictures: Pictures, steps: int, rounds: int) -> list[float]:
    """Of all ways, medians over the rounds."""
    has_memory = architecture != "D"
    stage = replace(stages.for_architecture(stages.SFT, architecture, has_memory), steps=steps)
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    for turn in range(-1, rounds):  # the first warms up
        for way in sorted(WAYS, reverse=turn % 2 == 0):
            backbones = read_backbones()
            model = build_model(architecture, backbones.encoder, backbones.language)
            processor = build_processor(architecture)
            short = stage if turn >= 0 else replace(stage, steps=2)
            began = time.process_time()
            if way == "engine":
                engine(short, model, processor, pictures)
            else:
                loop(short, model, processor, way)
            if turn >= 0:
                taken[way].append((time.process_time() - began) / steps)
    return [statistics.median(found) for found in taken.values()]


def main() -> None:
    """Print a line for every architecture, and what it adds up to."""
    parser = argparse.ArgumentParser(description="nano's fine-tuning by the engine beside a simple loop.")
    parser.add_argument("--steps", type=int, default=12, help="steps of a round")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each way")
    arguments = parser.parse_args()
    recipe, count = NanoRecipe(), arguments.steps * (stages.SFT.batch - stages.TEXT_ROWS)
    with tempfile.TemporaryDirectory() as folder:
        encoder, began = read_backbones().encoder, time.process_time()
        pictures = open_pictures(Path(folder), encoder, count, say=lambda line: None)
        once = (time.process_time() - began) / count
        print(f"a picture is drawn and encoded in {1000 * once:.1f} ms, once", flush=True)
        steps = sum(getattr(recipe, name).steps for name in stages.STAGES)
        whole = [0.0, 0.0, once * recipe.pictures]
        for architecture in "DXH":
            taken = seconds_a_step(architecture, pictures, arguments.steps, arguments.rounds)
            print(
                f"{architecture}: a step takes {taken[0]:.3f} s in the simple loop, {taken[1]:.3f} s grouped, "
                f"{taken[2]:.3f} s by the engine: {taken[0] / taken[2]:.2f} x and {taken[1] / taken[2]:.2f} x "
                f"(n = {arguments.rounds} rounds of {arguments.steps} steps)",
                flush=True,
            )
            whole = [total + own * steps for total, own in zip(whole, taken, strict=True)]
    print(
        f"all three, as if every one of the recipe's {steps:,} steps were of SFT, {recipe.pictures:,} pictures made "
        f"first: {whole[0] / 60:.0f}, {whole[1] / 60:.0f} and {whole[2] / 60:.0f} minutes, "
        f"{whole[0] / whole[2]:.2f} x and {whole[1] / whole[2]:.2f} x"
    )


if __name__ == "__main__":
    main()
