"""Prepared folders for tests of loading: pictures of several sizes, texts of several lengths."""

import tarfile
from pathlib import Path

from nvlm.data.plan import make_plan
from nvlm.data.prepare import prepare
from tests.data.sources.published import picture, put

SIDES = ((16, 16), (32, 16), (16, 32), (48, 16), (32, 32))
"""Width and height of the pictures, in turn."""


def prepared_folder(base: Path, name: str, count: int, pictures: int = 0) -> Path:
    """Samples with so many pictures each, all of other colours; their answers grow from one word to five."""
    rows = []
    for number in range(count):
        names = [f"{name}-{number}-{each}.png" for each in range(pictures)]
        for place, file in enumerate(names):
            colour = f"hsl({number * 11 % 360}, {40 + 10 * (number % 5)}%, {30 + 20 * place}%)"
            put(base, file, picture(*SIDES[(number + place) % len(SIDES)], colour, format="PNG"))
        question = "<image>\n" * pictures + f"Number {number}?"
        answer = " ".join(["word"] * (1 + number % 5))
        messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        rows.append({"id": number, "images": names, "messages": messages})
    put(base, f"{name}.jsonl", rows)
    plan = make_plan(name, base / f"{name}.jsonl", base / "shards", format="jsonl", shard_bytes=20_000)
    prepare(plan)
    return plan.out


def break_pictures(folder: Path) -> None:
    """Damage pictures in the shards, in place: of samples 0, 5 … the pixels, of samples 1, 6 … the header."""
    for path in folder.glob("shard-*.tar"):
        data = bytearray(path.read_bytes())
        with tarfile.open(path) as shard:
            for member in shard:
                kind = int(member.name.partition(".")[0]) % 5
                if member.name.endswith(".png") and kind in (0, 1):
                    first = member.offset_data + (45 if kind == 0 else 0)
                    data[first : member.offset_data + member.size] = bytes(member.offset_data + member.size - first)
        path.write_bytes(data)
