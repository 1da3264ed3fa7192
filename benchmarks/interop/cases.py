"""What both engines are asked: conversations, with pictures drawn by code. Needs Pillow alone.

Pictures are measured in tiles, so that they are cut alike whatever the size of a checkpoint's tiles.
"""

import json
import random
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, ImageDraw

__all__ = ["CASES", "Case", "draw", "read_cases", "write_cases"]


class Picture(NamedTuple):
    """One picture."""

    width: float
    """In tiles."""
    height: float
    """In tiles."""
    views: int
    """Its tiles, and the thumbnail where there are several."""
    transparent: bool = False


class Case(NamedTuple):
    """One conversation, whose pictures stand at the start of its first user turn."""

    name: str
    turns: tuple[str, ...]
    """Of user and assistant in turn."""
    pictures: tuple[Picture, ...] = ()
    system: str = ""


CASES = (
    Case("text: a question", ("What is the total?",)),
    Case("text: with a system turn", ("How many are in the box?",), system="You are a helpful assistant."),
    Case("text: a third turn", ("Read the text.", "The text is red.", "Which answer is it?")),
    Case("one tile: square", ("Describe the picture.",), (Picture(0.9, 0.9, 1),)),
    Case("one tile: small, transparent", ("What is in the picture?",), (Picture(0.3, 0.25, 1, transparent=True),)),
    Case("one tile: a second turn", ("Which box is red?", "The box.", "Are you sure?"), (Picture(1.3, 1.2, 1),)),
    Case("6+1 tiles: 3 × 2", ("Read the text.",), (Picture(3.1, 2.0, 7),)),
    Case("6+1 tiles: 2 × 3", ("What is the total?",), (Picture(1.9, 3.05, 7),)),
    Case("6+1 tiles: 6 × 1, much larger", ("How many are red?",), (Picture(12.4, 2.1, 7),)),
    Case("2+1 tiles", ("Describe the image.",), (Picture(2.0, 1.0, 3),)),
    Case("4+1 tiles: 2 × 2", ("What is the answer?",), (Picture(2.1, 2.1, 5),)),
    Case("4+1 tiles: 1 × 4", ("Read the text in the image.",), (Picture(0.8, 3.3, 5),)),
    Case("5+1 tiles", ("How is it?",), (Picture(5.2, 1.0, 6),)),
    Case("two images", ("Which picture is red?",), (Picture(0.9, 0.9, 1), Picture(2.0, 1.0, 3))),
    Case("two images, 6+1 tiles each", ("What is in the box?",), (Picture(3.0, 2.0, 7), Picture(2.0, 3.0, 7))),
    Case("extreme ratio: 60 : 1", ("Describe the picture.",), (Picture(12.0, 0.2, 7),)),
    Case("extreme ratio: 1 : 50", ("What are you?",), (Picture(0.1, 5.0, 7),)),
)


def draw(picture: Picture, tile_size: int, seed: int) -> Image.Image:
    """Coloured shapes, the same for the same seed; with an alpha channel where the picture is transparent."""
    chance = random.Random(seed)
    width, height = (max(1, round(side * tile_size)) for side in picture[:2])
    image = Image.new("RGB", (width, height), _colour(chance))
    canvas = ImageDraw.Draw(image)
    for number in range(12):
        left, right = sorted(chance.randint(-width // 4, width + width // 4) for _ in range(2))
        top, bottom = sorted(chance.randint(-height // 4, height + height // 4) for _ in range(2))
        shape = canvas.ellipse if number % 2 else canvas.rectangle
        shape((left, top, right, bottom), fill=_colour(chance), outline=_colour(chance))
    if picture.transparent:
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


def write_cases(folder: Path, tile_size: int, chat_template: str, new_tokens: int) -> None:
    """Write the pictures as PNG, and the questions as `cases.json`, for both engines to read."""
    cases = [_written(case, folder, tile_size, number) for number, case in enumerate(CASES)]
    content = {"chat_template": chat_template, "new_tokens": new_tokens, "cases": cases}
    (folder / "cases.json").write_text(json.dumps(content, indent=1), encoding="utf-8")


def read_cases(folder: Path) -> dict[str, Any]:
    """What `write_cases` wrote.

    Returns:
        `chat_template`, `new_tokens` and `cases`, each with its `name`, the paths of its `pictures`, how many `views`
        these have in all, and its `messages`: contents are lists of parts, and an image part holds the path of its
        picture.
    """
    content: dict[str, Any] = json.loads((folder / "cases.json").read_text(encoding="utf-8"))
    for case in content["cases"]:
        case["pictures"] = [folder / file for file in case["pictures"]]
        for message in case["messages"]:
            for part in message["content"]:
                if part["type"] == "image":
                    part["image"] = folder / part["image"]
    return content


def _written(case: Case, folder: Path, tile_size: int, number: int) -> dict[str, Any]:
    files = [f"case-{number:02d}-{place}.png" for place in range(len(case.pictures))]
    for place, (picture, file) in enumerate(zip(case.pictures, files, strict=True)):
        draw(picture, tile_size, seed=100 * number + place).save(folder / file)
    views = sum(picture.views for picture in case.pictures)
    return {"name": case.name, "views": views, "pictures": files, "messages": _messages(case, files)}


def _messages(case: Case, files: list[str]) -> list[dict[str, Any]]:
    roles = ["system"] * bool(case.system) + ["user", "assistant"] * len(case.turns)
    texts = [case.system] * bool(case.system) + list(case.turns)
    messages = [
        {"role": role, "content": [{"type": "text", "text": text}]} for role, text in zip(roles, texts, strict=False)
    ]
    first = messages[bool(case.system)]
    first["content"] = [*({"type": "image", "image": file} for file in files), {"type": "text", "text": case.turns[0]}]
    return messages


def _colour(chance: random.Random) -> tuple[int, ...]:
    return tuple(chance.randrange(256) for _ in range(3))
