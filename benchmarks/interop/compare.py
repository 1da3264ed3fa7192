"""Two engines' answers to one case, compared: what has to be the same, what may differ, and why.

Legend: W tokens of the vocabulary.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["TOLERANCE", "Answer", "Verdict", "compare", "find_splits"]

TOLERANCE = 3e-4
"""Of a log-probability, in nats. Measured over all cases: at most 7e-5, which float32 gives when sums are taken in
another order. What would show: a tanh GELU for the exact one makes 5e-3, pixels off by one grey level 0.3, a transposed
picture 7. What would not: an epsilon of 1e-5 for 1e-6 makes 2e-4 in a model with these norms."""


@dataclass(frozen=True)
class Answer:
    """What an engine said to a case, decoding greedily."""

    prompt_ids: list[int]
    tokens: list[int]
    first: list[float]
    """(W,): log-probability of every token as the answer's first one, in nats."""
    margins: list[float]
    """For each token of the answer, by how many nats it was ahead of the second best."""


@dataclass(frozen=True)
class Verdict:
    """How two answers to one case compare."""

    name: str
    prompt: str
    """`same`, `newline` (that of vLLM after an image, see `find_splits`) or `differs`."""
    tokens: int
    """Of vLLM's answer."""
    diverged_at: int | None
    """The first token that differs, to the same prompt ids; None where all are the same."""
    margin: float | None
    """How clear our choice was there, in nats."""
    logprob_difference: float
    """The largest of any token as the first one, to the same prompt ids, in nats."""
    pixel_difference: float | None
    """The largest of any pixel value; None without pictures."""
    own_prompt_agrees: bool
    """Is our answer to our own prompt ids the same as vLLM's to its?"""
    faults: tuple[str, ...]
    """Differences that nothing explains."""


def compare(
    name: str,
    theirs: Answer,
    own: Answer,
    own_to_their_ids: Answer,
    *,
    images: int,
    joined: Mapping[int, tuple[int, int]],
    pixel_difference: float | None = None,
) -> Verdict:
    """Hold our answers to a case against vLLM's.

    Args:
        name: of the case.
        theirs: vLLM's answer.
        own: ours, to the prompt as we write it.
        own_to_their_ids: ours, to vLLM's prompt ids, so that only the model differs.
        images: how many the case has.
        joined: see `find_splits`.
        pixel_difference: the largest between the two engines' pixels.
    """
    faults = []
    splits = find_splits(own.prompt_ids, theirs.prompt_ids, joined)
    if splits is None or len(splits) not in (0, images):
        faults.append("the prompt ids differ by more than a newline after each image")
    difference = _largest_difference(own_to_their_ids.first, theirs.first)
    if difference > TOLERANCE:
        faults.append(f"a log-probability differs by {difference:.1e}, more than {TOLERANCE:.0e}")
    at = _first_difference(own_to_their_ids.tokens, theirs.tokens)
    margin = None if at is None else _margin_at(own_to_their_ids, at)
    if margin is not None and margin > 2 * TOLERANCE:
        faults.append(f"token {at} differs although our choice is clear by {margin:.1e} nats")
    if pixel_difference:
        faults.append(f"the pixels differ by up to {pixel_difference:.1e}")
    return Verdict(
        name=name,
        prompt="differs" if splits is None else "newline" if splits else "same",
        tokens=len(theirs.tokens),
        diverged_at=at,
        margin=margin,
        logprob_difference=difference,
        pixel_difference=pixel_difference,
        own_prompt_agrees=own.tokens == theirs.tokens,
        faults=tuple(faults),
    )


def find_splits(own: Sequence[int], theirs: Sequence[int], joined: Mapping[int, tuple[int, int]]) -> list[int] | None:
    """Where one of our tokens is two of theirs, and nothing else differs; None if something else does.

    The published chat code tokenises the prompt as one string, and so do we: the end of `</Image>` and the newline
    behind it may share a token (`>\\n` in Qwen2's vocabulary). vLLM tokenises the image's block and the newline apart.

    Args:
        own: our prompt ids.
        theirs: vLLM's.
        joined: our token → the two tokens that vLLM has in its place.

    Returns:
        Their positions in our prompt.

    >>> find_splits([1, 29, 5], [1, 7, 8, 5], {29: (7, 8)})
    [1]
    >>> find_splits([1, 2], [1, 3], {29: (7, 8)}) is None
    True
    """
    splits: list[int] = []
    for position, token in enumerate(own):
        place = position + len(splits)
        if theirs[place : place + 1] == [token]:
            continue
        if token not in joined or tuple(theirs[place : place + 2]) != joined[token]:
            return None
        splits.append(position)
    return splits if len(own) + len(splits) == len(theirs) else None


def _largest_difference(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Infinite where the vocabularies are not the same size, or a value is no number."""
    if len(ours) != len(theirs):
        return math.inf
    differences = [abs(one - other) for one, other in zip(ours, theirs, strict=True)]
    return math.inf if any(map(math.isnan, differences)) else max(differences)


def _first_difference(ours: Sequence[int], theirs: Sequence[int]) -> int | None:
    """The first position at which two answers differ; the end of the shorter one where it is how the longer begins."""
    for position, (one, other) in enumerate(zip(ours, theirs, strict=False)):
        if one != other:
            return position
    return None if len(ours) == len(theirs) else min(len(ours), len(theirs))


def _margin_at(answer: Answer, position: int) -> float:
    """How clear the choice of a token was; infinite where our answer had ended."""
    return answer.margins[position] if position < len(answer.margins) else math.inf
