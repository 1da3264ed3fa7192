"""Dense labels for the vision encoder: what each patch of each view shows, from the marks of a drawing."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from nvlm.data.synthetic.canvas import COLOURS, Mark
from nvlm.data.synthetic.tokenizer import SPACE, digit_pairs, number_pieces
from nvlm.data.synthetic.words import vocabulary

IGNORED = -100
LONGEST_WORD = 12
SMALLEST_CHARACTER = (2.5, 6.0)
"""Characters narrower or lower than these pixels in a view cannot be read: their patches are ignored."""


@cache
def word_classes() -> dict[str, int]:
    """The class of every token under the ``word`` head: whole vocabulary words, then digits and pairs of digits."""
    digits = [str(digit) for digit in range(10)] + digit_pairs()
    tokens = [SPACE + word for word in vocabulary()] + [start + piece for start in (SPACE, "") for piece in digits]
    return {token: number for number, token in enumerate(tokens, start=2)}


HEADS: dict[str, int] = {
    "character": 128,
    "word": 2 + len(word_classes()),
    "place": LONGEST_WORD + 1,
    "colour": 1 + len(COLOURS),
}
"""Classes per label. 0 is "nothing here"; for ``word``, 1 is "no single token": a letter or sign of another word."""


def dense_labels(
    marks: list[Mark], columns: int, rows: int, tile_size: int, patch_size: int
) -> dict[str, NDArray[np.int64]]:
    """Labels for every view of a drawing cut into ``columns`` x ``rows`` tiles, thumbnail last if there is one.

    Returns:
        For each of ``HEADS`` an array (views, grid, grid), grid = tile_size / patch_size.
    """
    grid = tile_size // patch_size
    tiles = _paint(marks, columns * grid, rows * grid, patch_size)
    views = {
        name: sheet.reshape(rows, grid, columns, grid).swapaxes(1, 2).reshape(-1, grid, grid)
        for name, sheet in tiles.items()
    }
    if columns * rows == 1:
        return views
    thumbnail = _paint(marks, grid, grid, patch_size)
    return {name: np.concatenate([sheet, thumbnail[name][None]]) for name, sheet in views.items()}


def _paint(marks: list[Mark], width: int, height: int, patch_size: int) -> dict[str, NDArray[np.int64]]:
    """Labels on one sheet of ``width`` x ``height`` patches of ``patch_size`` pixels.

    A patch shows the mark that covers most of it.
    """
    sheets = {name: np.zeros((height, width), np.int64) for name in HEADS}
    covered = np.zeros((height, width), np.float32)
    narrowest, lowest = (pixels / patch_size for pixels in SMALLEST_CHARACTER)
    for mark in marks:
        left, top, right, bottom = mark.box[0] * width, mark.box[1] * height, mark.box[2] * width, mark.box[3] * height
        readable = mark.character is None or (right - left >= narrowest and bottom - top >= lowest)
        for y in range(max(0, int(top)), min(height, int(np.ceil(bottom)))):
            tall = min(bottom, y + 1) - max(top, y)
            for x in range(max(0, int(left)), min(width, int(np.ceil(right)))):
                share = tall * (min(right, x + 1) - max(left, x))
                if share > covered[y, x] and share > 0.1:
                    covered[y, x] = share
                    for name, label in _labels(mark).items():
                        sheets[name][y, x] = label if readable else IGNORED
    return sheets


def _labels(mark: Mark) -> dict[str, int]:
    digits = None if mark.character is None else number_pieces(mark.word)[mark.place]
    word = word_classes().get(digits or SPACE + mark.word, 1)
    if mark.character is None:
        return {"character": 0, "word": word, "place": 0, "colour": 1 + list(COLOURS).index(mark.colour or "black")}
    character = ord(mark.character) if ord(mark.character) < 128 else 0
    return {"character": character, "word": word, "place": 1 + min(mark.place, LONGEST_WORD - 1), "colour": 0}
