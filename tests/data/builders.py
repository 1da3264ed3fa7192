"""Training rows, texts and pictures for tests of preparing and checking data."""

import random
from pathlib import Path

from PIL import Image, ImageDraw

from tests.data.sources.published import picture, put

ROWS = 40

TEXT = " ".join(f"word{number}" for number in range(30))


def own_rows(folder: Path, count: int = ROWS, bad: tuple[int, ...] = ()) -> None:
    """Rows with a picture each; the pictures of `bad` rows are missing."""
    for number in set(range(count)) - set(bad):
        put(folder, f"{number}.png", picture(16 + number, 16, format="PNG"))
    rows = [
        {"id": number, "image": f"{number}.png", "question": f"Number {number}?", "answer": str(number)}
        for number in range(count)
    ]
    put(folder, "rows.jsonl", rows)


def photograph(seed: int) -> Image.Image:
    """Many overlapping ellipses: a picture whose look is all its own, as a photograph's is."""
    rng = random.Random(seed)
    image = Image.new("RGB", (320, 240))
    pen = ImageDraw.Draw(image)
    for _ in range(40):
        left, top = rng.randrange(320), rng.randrange(240)
        pen.ellipse(
            (left, top, left + rng.randrange(20, 120), top + rng.randrange(20, 120)),
            tuple(rng.choices(range(256), k=3)),
        )
    return image
