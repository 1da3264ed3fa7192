"""Loading from shards: samples a second by threads, how full rows are, and whether a saved state is exact.

    OMP_NUM_THREADS=1 python benchmarks/loading.py shards/sft/receipts shards/sft/gsm8k --tile-size 448

Weights are equal. CPU time is that of this process, all threads together; rates by the clock mean little on a machine
that has other work.
"""

import argparse
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from nvlm.data.blend import Blend, Folder
from nvlm.data.lane import PackedLane
from nvlm.data.loader import BlendedBatches, Loading
from nvlm.data.synthetic.tokenizer import SLOT, build_tokenizer
from nvlm.processing import NVLMImageProcessor, NVLMProcessor


def take(lane: PackedLane, count: int) -> list[dict[str, Any]]:
    """The next micro-batches."""
    return list(islice(iter(lambda: next(lane), None), count))


def total(batches: list[dict[str, Any]], name: str) -> int:
    """A number of all sources and micro-batches."""
    counts = [each for batch in batches for each in batch["accounting"].values() if isinstance(each, dict)]
    return sum(each.get(name, 0) for each in counts)


def speed(batches: BlendedBatches, count: int) -> str:
    """One line: rates of one lane, without its first micro-batches, and how full its rows are."""
    lane = batches.open(0)
    take(lane, 4)
    began, cpu = time.perf_counter(), time.process_time()
    taken = take(lane, count)
    spent, cpu = time.perf_counter() - began, time.process_time() - cpu
    lane.close()
    samples, rows = total(taken, "samples"), sum(batch["accounting"]["row_tokens"] for batch in taken)
    return (
        f"{samples / spent:7.1f} samples/s by the clock, {samples / cpu:7.1f} by CPU time; "
        f"{total(taken, 'tiles') / spent:6.1f} views/s; rows {total(taken, 'tokens') / rows:.1%} full"
    )


def exact(blend: Blend, processor: NVLMProcessor, loading: Loading, steps: int) -> str:
    """One line: lanes saved and opened again by 1, 2, 4 and 1 processes against lanes that were never stopped."""
    loading = replace(loading, lanes=4)
    fresh = BlendedBatches(blend, processor, loading)
    wanted = [take(fresh.open(lane), 4 * steps) for lane in range(4)]
    states: dict[int, dict[str, Any]] = {}
    same = 0
    for stage, processes in enumerate((1, 2, 4, 1)):
        for rank in range(processes):
            mine = BlendedBatches(blend, processor, loading)
            for number in range(rank, 4, processes):
                lane = mine.open(number)
                if number in states:
                    lane.load_state_dict(states[number])
                for one, other in zip(take(lane, steps), wanted[number][stage * steps :], strict=False):
                    same += all(torch.equal(one[name], other[name]) for name in one.keys() - {"accounting"})
                states[number] = lane.state_dict()
                lane.close()
    return f"1 → 2 → 4 → 1 processes: {same} of {16 * steps} micro-batches are the same to the bit"


def main() -> None:
    """Print all lines."""
    parser = argparse.ArgumentParser(description="Loading from shards.")
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--arch", default="H", choices=("D", "X", "H"))
    parser.add_argument("--tokens", type=int, default=4096, help="of a row")
    parser.add_argument("--tile-size", type=int, default=448)
    parser.add_argument("--views", type=int, default=32, help="of a row")
    parser.add_argument("--batches", type=int, default=40, help="micro-batches measured")
    args = parser.parse_args()
    images = NVLMImageProcessor(tile_size=args.tile_size, max_tiles=6)
    tokenizer = build_tokenizer()
    processor = NVLMProcessor(images, tokenizer, args.arch, (args.tile_size // 28) ** 2, image_token=SLOT)
    blend = Blend(tuple(Folder(str(folder)) for folder in args.folders))
    loading = Loading(args.tokens, views=args.views, shuffle=200)
    for workers in (0, 1, 2):
        batches = BlendedBatches(blend, processor, replace(loading, workers=workers))
        print(f"{workers} threads: {speed(batches, args.batches)}", flush=True)
    print(exact(blend, processor, replace(loading, workers=2, shuffle=20, lookahead=64), 2), flush=True)


if __name__ == "__main__":
    main()
