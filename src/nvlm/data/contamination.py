"""Is a training sample also in an evaluation set? Shared runs of 13 words, and pictures that look the same.

Texts: a run of 13 words is the unit of GPT-3's test (Brown et al., 2020, appendix C); as there, a run that stands in
more than ten evaluation items is a formula and counts for nothing. Texts of fewer words cannot be tested. Runs are kept
as 64-bit hashes.

Pictures: 256 bits say which of the 16 × 16 lowest frequencies of a small grey picture lie above their median (a
perceptual hash); two pictures are the same if at most ``SAME`` bits differ. A picture of one colour has no hash.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray
from PIL import Image

RUN = 13
COMMON = 10
SAME = 12
SIDE, FREQUENCIES = 64, 16
FLAT = 1.0
"""Standard deviation of grey levels below which a picture shows nothing."""

# Chinese and Japanese are written without spaces: there, a character is a word.
_CHARACTERS = "\u3040-\u30ff\u3400-\u9fff"
_WORD = re.compile(rf"[{_CHARACTERS}]|[^\W{_CHARACTERS}]+")
_FACTOR = 0x9E3779B97F4A7C15  # odd, so that multiplying by its powers loses nothing
_STEPS = np.arange(SIDE)
_COSINES = np.cos(np.pi * (2 * _STEPS[None] + 1) * _STEPS[:, None] / (2 * SIDE))

Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class Shared:
    """What a text shares with an evaluation item.

    Attributes:
        item: of the index.
        share: of the text's runs that stand in some evaluation item.
        words: the first run that is shared.
    """

    item: str
    share: float
    words: str


@dataclass(frozen=True)
class Alike:
    """An evaluation picture that looks the same.

    Attributes:
        item: of the index.
        distance: bits that differ, of 256.
    """

    item: str
    distance: int


def words(text: str) -> list[str]:
    """The words of a text, without case and punctuation.

    >>> words("It's 2 m – 合計!")
    ['it', 's', '2', 'm', '合', '計']
    """
    return _WORD.findall(text.casefold())


def run_hashes(found: Sequence[str]) -> Hashes:
    """A hash of each run of ``RUN`` words, in their order; empty for fewer words."""
    if len(found) < RUN:
        return np.zeros(0, np.uint64)
    single = np.array([_word_hash(word) for word in found], np.uint64)
    total = np.zeros(len(found) - RUN + 1, np.uint64)
    with np.errstate(over="ignore"):  # modulo 2^64 is what a hash wants
        for place in range(RUN):
            total = total * np.uint64(_FACTOR) + single[place : place + len(total)]
    return total


def _word_hash(word: str) -> int:
    return int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "big")


class Runs:
    """All runs of words of evaluation items; what is looked for must not be added to any more."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.untested = 0
        self._added: list[Hashes] = []

    def add(self, name: str, texts: Iterable[str]) -> None:
        """Add an item; if all its texts are too short, it is ``untested``."""
        found = np.unique(np.concatenate([np.zeros(0, np.uint64), *(run_hashes(words(text)) for text in texts)]))
        self.untested += not len(found)
        self.names.append(name)
        self._added.append(found)

    def find(self, text: str) -> Shared | None:
        """What a text shares with the items; ``None`` if nothing."""
        found = words(text)
        hashes = run_hashes(found)
        keys, owners = self._index
        if not len(hashes) or not len(keys):
            return None
        places = np.minimum(np.searchsorted(keys, hashes), len(keys) - 1)
        hits = np.flatnonzero(keys[places] == hashes)
        if not len(hits):
            return None
        first = int(hits[0])
        item = self.names[int(owners[places[first]])]
        return Shared(item, len(hits) / len(hashes), " ".join(found[first : first + RUN]))

    @cached_property
    def _index(self) -> tuple[Hashes, NDArray[np.int64]]:
        """Every run once, sorted, with the first item that has it; runs of too many items are left out."""
        keys = np.concatenate([np.zeros(0, np.uint64), *self._added])
        owners = np.repeat(np.arange(len(self._added)), [len(added) for added in self._added])
        order = np.lexsort((owners, keys))
        keys, first, counts = np.unique(keys[order], return_index=True, return_counts=True)
        few = counts <= COMMON
        return keys[few], owners[order][first[few]]


def picture_hash(image: Image.Image) -> Hashes | None:
    """The 256 bits of a picture, as four numbers; ``None`` for a picture of one colour."""
    grey = np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX), np.float64)
    if grey.std() < FLAT:
        return None
    low = (_COSINES @ grey @ _COSINES.T)[:FREQUENCIES, :FREQUENCIES].ravel()
    low[0] = np.median(low[1:])  # how bright it is as a whole does not matter
    return np.packbits(low > low[0]).view(np.uint64)


class Looks:
    """The hashes of evaluation pictures; what is looked for must not be added to any more."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._added: list[Hashes] = []

    def add(self, name: str, image: Image.Image) -> None:
        """Add a picture, unless it shows nothing."""
        own = picture_hash(image)
        if own is not None:
            self.names.append(name)
            self._added.append(own)

    def find(self, image: Image.Image) -> Alike | None:
        """The most similar picture, if it is the same; ``None`` if there is none."""
        own = picture_hash(image)
        if own is None or not self.names:
            return None
        distances = np.bitwise_count(self._hashes ^ own).sum(axis=1)
        nearest = int(distances.argmin())
        distance = int(distances[nearest])
        return Alike(self.names[nearest], distance) if distance <= SAME else None

    @cached_property
    def _hashes(self) -> Hashes:
        return np.stack(self._added)
