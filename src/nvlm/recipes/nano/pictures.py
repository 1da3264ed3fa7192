"""The pictures of both NVLM stages: drawn into shards, encoded once by the frozen encoder, the same for D, X and H."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image
from transformers import PreTrainedModel

from nvlm.data.drawn import draw_shards
from nvlm.data.picture_features import IDS, PARTS, PictureFeatures, weights_hash
from nvlm.data.stored import StoredSamples
from nvlm.data.stream import Raw
from nvlm.data.synthetic.canvas import Mark
from nvlm.data.synthetic.problem import Problem
from nvlm.data.synthetic.tasks import PICTURE_TASKS, draw_problem, to_sample
from nvlm.data.synthetic.transcript import with_transcript
from nvlm.processing import NVLMImageProcessor
from nvlm.recipes.features import Frozen, store_features, stored_features
from nvlm.recipes.nano.sizes import MAX_TILES, TILE_SIZE

STREAM = "pictures"
MOST_TURNS = 8
"""Questions about a picture: each is a lesson for the price of its words, where a picture costs its image tokens."""
DRAWN, FEATURES = "drawn", "features"
IMAGES = NVLMImageProcessor(tile_size=TILE_SIZE, max_tiles=MAX_TILES)


@dataclass(frozen=True)
class Pictures:
    """Training pictures with their conversations, and their features.

    Attributes:
        folder: of both.
        count: the first so many of its samples are trained on; there may be more.
        samples: by number, as they are stored.
        features: of them, cut into at most ``MAX_TILES`` tiles.
    """

    folder: Path
    count: int
    samples: StoredSamples
    features: PictureFeatures

    def __len__(self) -> int:
        return self.count


def open_pictures(folder: Path, encoder: PreTrainedModel, count: int, say: Callable[[str], None]) -> Pictures:
    """Draw and encode what a folder does not hold yet of ``count`` pictures.

    Raises:
        ValueError: the folder holds features of another encoder, or there is no room for them on the disk.
    """
    frozen, drawn = Frozen(encoder, weights_hash(encoder)), folder / DRAWN
    settings = {
        "name": DRAWN,
        "stream": STREAM,
        "tasks": list(PICTURE_TASKS),
        "turns": MOST_TURNS,
        "fields": ["marks", "explained"],
    }
    draw_shards(drawn, settings, count, draw_sample, "drawing pictures")
    store_features(frozen, IMAGES, [drawn], folder / FEATURES, say)
    return Pictures(folder, count, StoredSamples(drawn), stored_features(frozen, IMAGES, folder / FEATURES))


def pictures_in(folder: Path) -> int:
    """How many pictures' features a folder holds; nothing is written."""
    return sum(path.stat().st_size // 16 for path in (folder / FEATURES).glob(f"{PARTS}/{IDS}"))


def draw_sample(number: int) -> tuple[dict[str, Any], list[Image.Image]]:
    """The fields of a training picture's sample, with its marks and its messages as they explain, and the picture."""
    problem = picture(number)
    assert problem.drawing is not None, "a picture task drew nothing"
    sample = to_sample(problem, str(number))
    marks = [list(asdict(mark).values()) for mark in problem.drawing.marks]
    fields = {"id": f"{DRAWN}/{number}", "source": DRAWN, "task": sample.task, "messages": sample.messages}
    explaining = to_sample(problem, str(number), explain=True)
    return {**fields, "marks": marks, "explained": explaining.messages}, sample.images


def picture(number: int) -> Problem:
    """A training picture with what can be asked about it; of every second one the last turn is about all it shows."""
    problem = draw_problem(PICTURE_TASKS, "train", STREAM, number).asked(MOST_TURNS)
    return with_transcript(problem) if number % 2 else problem


def marks_of(raw: Raw) -> list[Mark]:
    """What a stored sample's picture shows, and where; nothing where there is no picture."""
    stored = json.loads(raw.parts["json"]).get("marks", [])
    return [Mark((left, top, right, bottom), *others) for (left, top, right, bottom), *others in stored]


def explained(raw: Raw) -> Raw:
    """A stored sample whose answers say first what they rest on."""
    fields = json.loads(raw.parts["json"])
    fields["messages"] = fields["explained"]
    return replace(raw, parts={**raw.parts, "json": json.dumps(fields).encode()})
