"""Variants by name: an architecture, and what is done otherwise, as in ``d``, ``x-frozen`` or ``d-low-res+no-text``."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, NamedTuple

from nvlm.modeling.architectures import ARCHITECTURES
from nvlm.recipes.nano.sizes import LANGUAGE
from nvlm.recipes.nano.variant import Variant


class Change(NamedTuple):
    """What a word in a variant's name changes: values of `Variant`, what it is called, and where it means nothing."""

    values: Mapping[str, Any]
    title: str
    not_for: str = ""


NO_MEMORY = "D"
"""The architecture without cross-attention."""

CHANGES: dict[str, Change] = {
    "low-res": Change({"thumbnail_only": True}, "low resolution: the thumbnail alone"),
    "no-tags": Change({"tags": "none"}, "tiles without tags"),
    "2d-grid": Change({"tags": "2d-grid"}, "2-D grid tags"),
    "2d-box": Change({"tags": "2d-box"}, "2-D box tags"),
    "frozen": Change({"train_language": False}, "language model frozen in SFT"),
    "no-text": Change({"text": False}, "no text-only data in SFT"),
    "no-pretraining": Change({"pretraining": False}, "SFT alone, no pretraining"),
    "feed-forward": Change({"feed_forward": True}, "cross-attention with its own feed-forward", NO_MEMORY),
} | {
    f"every-{k}": Change({"cross_attention_every": k}, f"cross-attention in one layer of {k}", NO_MEMORY)
    for k in range(1, LANGUAGE["num_hidden_layers"] + 1)
    if LANGUAGE["num_hidden_layers"] % k == 0 and k != Variant(NO_MEMORY).cross_attention_every
}
"""The ablations of the paper (tables 1, 2 and 9) and of what it leaves open, one word each."""

MAIN = tuple(name.lower() for name in ARCHITECTURES)
ABLATIONS = (
    "d-low-res", "d-no-tags", "d-2d-grid", "d-2d-box", "x-low-res", "x-no-tags",
    "x-frozen", "d-no-text", "x-no-text", "h-no-text",
    "d-no-pretraining", "x-no-pretraining", "x-every-2", "x-every-4", "x-feed-forward",
)  # fmt: skip
SETS = {"main": MAIN, "ablations": ABLATIONS, "all": MAIN + ABLATIONS}


def choose(words: str) -> tuple[str, ...]:
    """The variants that a list such as ``main,d-low-res`` names, each once.

    Raises:
        ValueError: nothing is named, or a name that is neither a set nor a variant.
    """
    names = [word.strip().lower() for word in words.split(",") if word.strip()]
    if not names:
        raise ValueError(f"--variants names nothing; there is {', '.join(SETS)}, or variants such as d, x-frozen")
    chosen = dict.fromkeys(each for name in names for each in SETS.get(name, (name,)))
    for name in chosen:
        find_variant(name)
    return tuple(chosen)


def find_variant(name: str, seed: int = 0) -> Variant:
    """The variant of a name.

    Raises:
        ValueError: no such architecture or change, or a change that the architecture has no use for.
    """
    architecture, _, rest = name.partition("-")
    if architecture.upper() not in ARCHITECTURES:
        raise ValueError(f"the variant {name!r} begins with no architecture ({', '.join(MAIN)}); {_sets()}")
    variant = Variant(architecture.upper(), seed)
    for word in rest.split("+") if rest else ():
        variant = replace(variant, **_change(word, name, variant.architecture).values)
    return variant


def title_of(name: str) -> str:
    """A variant in words.

    >>> title_of("x-low-res+no-text")
    'X, low resolution: the thumbnail alone, no text-only data in SFT'
    """
    architecture, _, rest = name.partition("-")
    return ", ".join([architecture.upper(), *(CHANGES[word].title for word in rest.split("+") if word)])


def base_of(name: str) -> str:
    """The variant without changes that a variant is compared with."""
    return name.partition("-")[0]


def in_order(names: Sequence[str]) -> list[str]:
    """The three first, then each one's ablations, as the sets list them; others at the end."""
    known = SETS["all"]
    return sorted(names, key=lambda name: (known.index(name) if name in known else len(known), name))


def _change(word: str, name: str, architecture: str) -> Change:
    if word not in CHANGES:
        near = get_close_matches(word, CHANGES, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(CHANGES)}"
        raise ValueError(f"the variant {name!r} has no change {word!r}: {hint}")
    change = CHANGES[word]
    if architecture in change.not_for:
        raise ValueError(f"the variant {name!r} changes nothing: {architecture} has no cross-attention")
    return change


def _sets() -> str:
    return f"or give one of the sets {', '.join(SETS)}"
