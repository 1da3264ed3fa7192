"""CIDEr-D, the score that COCO reports as CIDEr (Vedantam, Zitnick and Parikh, 2015, section 4 and 5).

For n-grams of 1 to 4 words, g_n(caption) weighs each n-gram by its count times log(images / images whose references
have it). With clipped weights and a penalty on the length difference d,

    CIDEr-D_n = 10 · mean over references of exp(-d² / (2 · 6²)) · min(g_n(c), g_n(r)) · g_n(r) / (|g_n(c)| |g_n(r)|)

and the score is the mean over n. Document frequencies are those of the images that are scored together.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence

LONGEST, SIGMA = 4, 6.0
_SPLIT = re.compile(r"(n't|'(?:s|m|d|ll|re|ve))\b")
_WORD = re.compile(r"n't|'(?:s|m|d|ll|re|ve)\b|[^\W_]+(?:[-.,/'&][^\W_]+)*|[^\w\s]", re.UNICODE)
_DROPPED = frozenset("'`.?!,:;-\"()[]{}…–—“”‘’")

Grams = tuple[str, ...]
Weights = dict[Grams, float]
Weigh = Callable[[Counter[Grams]], list[Weights]]


def words(caption: str) -> list[str]:
    """Lower-case words in the manner of the Penn Treebank, without punctuation: ``don't`` is ``do n't``.

    >>> words("A man's dog, half-asleep, isn't here.")
    ['a', 'man', "'s", 'dog', 'half-asleep', 'is', "n't", 'here']
    """
    text = caption.lower().replace("’", "'")
    return [word for word in _WORD.findall(_SPLIT.sub(r" \1", text)) if word not in _DROPPED]


def cider(captions: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """The score of each caption against its references, between 0 and 10.

    Raises:
        ValueError: another number of captions than of lists of references, or a caption without references.
    """
    if len(captions) != len(references):
        raise ValueError(f"there are {len(captions)} captions but references for {len(references)}")
    if not all(references):
        raise ValueError("a caption has no references")
    told = [[_grams(reference) for reference in own] for own in references]
    seen = Counter(gram for own in told for gram in set().union(*own))
    images = math.log(len(captions)) if captions else 0.0

    def weigh(counts: Counter[Grams]) -> list[Weights]:
        weights: list[Weights] = [{} for _ in range(LONGEST)]
        for gram, count in counts.items():
            weights[len(gram) - 1][gram] = count * (images - math.log(max(1, seen[gram])))
        return weights

    return [_score(_grams(caption), own, weigh) for caption, own in zip(captions, told, strict=True)]


def _grams(caption: str) -> Counter[Grams]:
    said = words(caption)
    return Counter(tuple(said[at : at + n]) for n in range(1, LONGEST + 1) for at in range(len(said) - n + 1))


def _score(said: Counter[Grams], references: Sequence[Counter[Grams]], weigh: Weigh) -> float:
    weights = weigh(said)
    total = 0.0
    for reference in references:
        apart = _length(said) - _length(reference)
        penalty = math.exp(-(apart**2) / (2 * SIGMA**2))
        total += penalty * sum(map(_cosine, weights, weigh(reference)))
    return 10 * total / LONGEST / len(references)


def _cosine(said: Weights, reference: Weights) -> float:
    norms = math.hypot(*said.values()) * math.hypot(*reference.values())
    shared = sum(min(weight, reference.get(gram, 0.0)) * reference.get(gram, 0.0) for gram, weight in said.items())
    return shared / norms if norms else 0.0


def _length(counts: Counter[Grams]) -> int:
    return sum(count for gram, count in counts.items() if len(gram) == 1)
