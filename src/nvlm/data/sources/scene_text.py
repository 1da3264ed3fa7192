"""Words in photographs with their boxes, as COCO-Text (Veit et al., 2016) and TextOCR (Singh et al., 2021) keep them.

``{"imgs": {id: {"file_name", "width", "height"}}, "anns": {id: {"utf8_string", "bbox": [left, top, width, height]}},
"imgToAnns": {image: [ids]}}``. Half of the pictures are read whole; of the others one word is read at its box, or its
box is asked for (paper, figure 11: OCR with boxes, grounded OCR, referring grounding).
"""

from collections.abc import Iterator
from pathlib import PurePosixPath

from nvlm.data import prompts
from nvlm.data.lookup import Lookup
from nvlm.data.original import Original
from nvlm.data.reading import Row, entries
from nvlm.data.sources.source import Source
from nvlm.data.sources.turns import ask

ILLEGIBLE = ("", ".", "###")


def rows(source: Source) -> Iterator[Row]:
    """The pictures with legible words, each with its words."""
    path = source.one(source.options["annotations"])
    training = (None, "train")  # COCO-Text has all splits in one file and says which; TextOCR has a file for each
    with Lookup(entries(path, "anns"), "word") as words, Lookup(entries(path, "imgToAnns"), "list of words") as lists:
        for id, image in entries(path, "imgs"):
            if image.get("set") in training:
                found = [words[word] for word in lists[id]]
                legible = [word for word in found if word.get("utf8_string", "").strip() not in ILLEGIBLE]
                if legible:
                    yield {"id": id, "image": image, "words": legible}


def sample(row: Row, source: Source) -> Original:
    """A picture read whole, or one word of it."""
    image, id = row["image"], row["id"]
    pieces = [(word["utf8_string"], _box(word["bbox"], image)) for word in row["words"]]
    name = PurePosixPath(image["file_name"]).name
    return Original(id, _messages(pieces, id), (source.picture(source.options["picture"].format(name=name)),))


def _messages(pieces: list[tuple[str, str]], id: str) -> list[Row]:
    kind = prompts.pick(("whole", "whole", "read", "find"), id)
    if kind == "whole":
        text = "\n".join(prompts.located(*piece) for piece in pieces)
        return ask(prompts.transcription(id, boxes=True), text)
    text, box = prompts.pick(pieces, f"{id}/word")
    if kind == "read" or sum(other == text for other, _ in pieces) > 1:  # a word that stands twice has no one place
        return ask(prompts.pick(prompts.TEXT_AT, id).format(box), text)
    return ask(prompts.pick(prompts.PLACE_OF_TEXT, id).format(text), box)


def _box(bbox: list[float], image: Row) -> str:
    left, top, width, height = bbox
    return prompts.box([left, top, left + width, top + height], image["width"], image["height"])
