"""Packed rows on stored features against padded ones and against the simple loop, at nano's size.

    OMP_NUM_THREADS=1 python benchmarks/packing.py --steps 9

It prints how full rows are, and useful tokens a second of a training step done in three ways: simple (padded rows, and
the frozen encoder reads the pictures in every step), padded (its features are stored), and packed (so, and samples
share rows, as nano is trained). All train the same fresh model on the same samples (16 pictures and 8 texts a step), in
alternating order, and must have the same loss. Tokens are those of the samples, without padding; times are CPU times of
this process, medians over the steps. Drawing, cutting and reading are left out everywhere.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import InternVLVisionConfig, InternVLVisionModel
from transformers.feature_extraction_utils import BatchFeature

from nvlm.data.packing import Budget, RowPlanner, size_of
from nvlm.data.sample import Message
from nvlm.data.synthetic.tasks import to_sample
from nvlm.modeling.model import NVLMForConditionalGeneration
from nvlm.modeling.vision import encode
from nvlm.processing import NVLMProcessor, Row
from nvlm.processing.normalise import normalise
from nvlm.processing.tiling import Grid, cut
from nvlm.recipes.nano.build import build_model
from nvlm.recipes.nano.language import build_language_model, build_processor, text_rows
from nvlm.recipes.nano.pictures import ROOM, grid_of, picture
from nvlm.recipes.nano.sizes import TILE_SIZE, VISION

PICTURES, TEXTS = 16, 8


class Drawn(NamedTuple):
    """A sample of the blend, laid out, and its views as pixels."""

    messages: list[Message]
    grids: list[Grid]
    row: Row
    pixels: Tensor


def draw(processor: NVLMProcessor, step: int) -> list[Drawn]:
    """The samples of a step, the same for every architecture."""
    samples = []
    for problem in (picture(index) for index in range(step * PICTURES, (step + 1) * PICTURES)):
        assert problem.drawing is not None
        grid = grid_of(problem)
        pixels = normalise(cut(problem.drawing.image, grid, TILE_SIZE))
        messages = to_sample(problem, "").messages
        samples.append(Drawn(messages, [grid], processor.layout(messages, [grid]), pixels))
    for messages in text_rows("train", "sft", step * TEXTS, TEXTS):
        samples.append(Drawn(messages, [], processor.layout(messages, []), torch.zeros(0, 3, TILE_SIZE, TILE_SIZE)))
    return samples


def padded(processor: NVLMProcessor, samples: list[Drawn]) -> Iterator[tuple[BatchFeature, list[Drawn]]]:
    """Samples of like length together, cut where the padded part would grow too large."""
    part: list[Drawn] = []
    for sample in sorted(samples, key=lambda sample: len(sample.row)):
        if part and (len(part) + 1) * len(sample.row) > ROOM.tokens:
            yield _encode(processor, part), part
            part = []
        part.append(sample)
    yield _encode(processor, part), part


def _encode(processor: NVLMProcessor, part: list[Drawn]) -> BatchFeature:
    return processor.encode([sample.messages for sample in part], grids=[sample.grids for sample in part])


def packed(processor: NVLMProcessor, samples: list[Drawn]) -> Iterator[tuple[BatchFeature, list[Drawn]]]:
    """One row a part."""
    planner = RowPlanner(ROOM)
    for row in planner.rows((number, size_of(sample.row)) for number, sample in enumerate(samples)):
        own = [samples[int(piece.key)] for piece in row]
        yield processor.encode_packed([[sample.row for sample in own]]), own


def parts_of(
    found: Iterator[tuple[BatchFeature, list[Drawn]]], encoder: InternVLVisionModel | None
) -> list[BatchFeature]:
    """Add the number of supervised tokens of the whole step, and pixels; with an encoder, its features of them."""
    parts = []
    for part, own in found:
        pixels = torch.cat([sample.pixels for sample in own])
        seen = {}
        if len(pixels):
            seen = {"pixel_values": pixels} if encoder is None else {"image_features": stored(encoder, pixels)}
        parts.append(BatchFeature(part | seen))
    count = sum(int((part["labels"] != -100).sum()) for part in parts)
    return [BatchFeature(part | {"num_items_in_batch": count}) for part in parts]


@torch.no_grad()
def stored(encoder: InternVLVisionModel, pixels: Tensor) -> Tensor:
    """What a store of features holds, without its rounding."""
    return encode(encoder, pixels)


def seconds(model: NVLMForConditionalGeneration, parts: list[BatchFeature]) -> tuple[float, float]:
    """CPU time of forward and backward, and the loss."""
    model.zero_grad()
    began, total = time.process_time(), 0.0
    for part in parts:
        loss = model(**part).loss
        loss.backward()
        total += loss.item()
    return time.process_time() - began, total


def speed(architecture: str, steps: int) -> str:
    """One line: tokens a second in every way."""
    torch.manual_seed(0)
    encoder = InternVLVisionModel(InternVLVisionConfig(**VISION)).requires_grad_(False)
    model, processor = build_model(architecture, encoder, build_language_model()).train(), build_processor(architecture)
    model.vision_model.eval()
    rates: dict[str, list[float]] = {"simple": [], "padded": [], "packed": []}
    useful = all_tokens = 0
    for step in range(-1, steps):  # the first warms up
        samples = draw(processor, step + 1)
        tokens = sum(len(sample.row) for sample in samples)
        ways = {
            "simple": parts_of(padded(processor, samples), None),
            "padded": parts_of(padded(processor, samples), encoder),
            "packed": parts_of(packed(processor, samples), encoder),
        }
        losses = {}
        for name in sorted(ways, reverse=step % 2 == 0):
            taken, losses[name] = seconds(model, ways[name])
            if step >= 0:
                rates[name].append(tokens / taken)
        if max(losses.values()) - min(losses.values()) > 1e-5 * max(1.0, losses["simple"]):
            raise ValueError(f"step {step}: the losses differ, {losses}")
        useful, all_tokens = useful + tokens, all_tokens + sum(part["input_ids"].numel() for part in ways["padded"])
    middle = ", ".join(f"{name} {statistics.median(found):,.0f}" for name, found in rates.items())
    return (
        f"{architecture}: {middle} useful tokens/s; packed against simple {ratio(rates, 'simple'):.2f} x, against "
        f"padded {ratio(rates, 'padded'):.2f} x; {useful / all_tokens:.0%} of the padded tokens are useful"
    )


def ratio(rates: dict[str, list[float]], name: str) -> float:
    """How much faster packed rows are."""
    return statistics.median(new / old for new, old in zip(rates["packed"], rates[name], strict=True))


def fill(architecture: str, steps: int) -> str:
    """One line: how full rows of the nano blend are."""
    processor = build_processor(architecture)
    sizes = [size_of(sample.row) for step in range(steps) for sample in draw(processor, step)]
    planner = RowPlanner(Budget(1024 if architecture == "D" else 512, memory_views=64))
    for _ in planner.rows(enumerate(sizes)):
        pass
    return f"{architecture}: {planner.report}"


def main() -> None:
    """Print all lines."""
    parser = argparse.ArgumentParser(description="Packed rows against padded ones, at nano size.")
    parser.add_argument("--steps", type=int, default=9, help="steps measured for each architecture")
    steps = parser.parse_args().steps
    for architecture in "DXH":
        print(fill(architecture, 40), flush=True)
    for architecture in "DXH":
        print(speed(architecture, steps), flush=True)


if __name__ == "__main__":
    main()
