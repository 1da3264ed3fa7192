"""Packed rows against padded ones: how full rows are, and useful tokens a second of a nano training step.

    OMP_NUM_THREADS=1 python benchmarks/packing.py --steps 9

Both ways train the same fresh model on the same samples (16 pictures and 8 texts a step, features instead of pixels),
one after the other in alternating order, and must have the same loss. Tokens are those of the samples, without
padding; times are CPU times of this process, medians over the steps.
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
from nvlm.processing import NVLMProcessor, Row
from nvlm.processing.tiling import Grid
from nvlm.recipes.nano.build import build_model
from nvlm.recipes.nano.language import build_language_model, build_processor, text_rows
from nvlm.recipes.nano.pictures import ROOM, grid_of, picture
from nvlm.recipes.nano.sizes import PATCH_SIZE, TILE_SIZE, VISION

PICTURES, TEXTS = 16, 8


class Drawn(NamedTuple):
    """A sample of the blend, laid out, and stand-ins for its stored features."""

    messages: list[Message]
    grids: list[Grid]
    row: Row
    features: Tensor


def draw(processor: NVLMProcessor, step: int) -> list[Drawn]:
    """The samples of a step, the same for every architecture."""
    problems = [picture(index) for index in range(step * PICTURES, (step + 1) * PICTURES)]
    found = [(to_sample(problem, "").messages, [grid_of(problem)]) for problem in problems]
    found += [(messages, []) for messages in text_rows("train", "sft", step * TEXTS, TEXTS)]
    generator = torch.Generator().manual_seed(step)
    samples = []
    for messages, grids in found:
        row = processor.layout(messages, grids)
        shape = (len(row.all_views), (TILE_SIZE // PATCH_SIZE) ** 2, VISION["hidden_size"])
        samples.append(Drawn(messages, grids, row, torch.randn(shape, generator=generator)))
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


def parts_of(found: Iterator[tuple[BatchFeature, list[Drawn]]]) -> list[BatchFeature]:
    """Add features, and the number of supervised tokens of the whole step."""
    parts = []
    for part, own in found:
        features = torch.cat([sample.features for sample in own])
        parts.append(BatchFeature(part | ({"image_features": features} if len(features) else {})))
    count = sum(int((part["labels"] != -100).sum()) for part in parts)
    return [BatchFeature(part | {"num_items_in_batch": count}) for part in parts]


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
    """One line: tokens a second both ways."""
    torch.manual_seed(0)
    encoder = InternVLVisionModel(InternVLVisionConfig(**VISION)).requires_grad_(False)
    model, processor = build_model(architecture, encoder, build_language_model()).train(), build_processor(architecture)
    rates: dict[str, list[float]] = {"padded": [], "packed": []}
    useful = all_tokens = 0
    for step in range(-1, steps):  # the first warms up
        samples = draw(processor, step + 1)
        tokens = sum(len(sample.row) for sample in samples)
        ways = {"padded": parts_of(padded(processor, samples)), "packed": parts_of(packed(processor, samples))}
        losses = {}
        for name in sorted(ways, reverse=step % 2 == 0):
            taken, losses[name] = seconds(model, ways[name])
            if step >= 0:
                rates[name].append(tokens / taken)
        if abs(losses["padded"] - losses["packed"]) > 1e-5 * max(1.0, losses["padded"]):
            raise ValueError(f"step {step}: the losses differ, {losses}")
        useful, all_tokens = useful + tokens, all_tokens + sum(part["input_ids"].numel() for part in ways["padded"])
    ratio = statistics.median(new / old for new, old in zip(rates["packed"], rates["padded"], strict=True))
    return (
        f"{architecture}: padded {statistics.median(rates['padded']):,.0f}, packed "
        f"{statistics.median(rates['packed']):,.0f} useful tokens/s, {ratio:.2f} x; "
        f"{useful / all_tokens:.0%} of the padded tokens are useful"
    )


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
