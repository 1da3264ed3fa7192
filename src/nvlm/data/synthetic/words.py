"""The closed vocabulary of the synthetic tasks (``words.txt``)."""

from functools import cache
from importlib.resources import files


@cache
def kinds() -> dict[str, tuple[str, ...]]:
    """Words by kind (animals, foods, …), as listed in ``words.txt``."""
    lines = files(__package__).joinpath("words.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split(":", 1) for line in lines if line and not line.startswith("#"))
    return {kind: tuple(words.split()) for kind, words in pairs}


@cache
def nouns() -> tuple[str, ...]:
    """The lower-case things that can be named, read, listed and looked up."""
    names = ("animals", "foods", "things", "nature", "people")
    return tuple(dict.fromkeys(word for name in names for word in kinds()[name]))


@cache
def labels() -> tuple[str, ...]:
    """Everything that may label a row, a bar or a line: nouns, months, days and places."""
    names = ("months", "days", "places")
    return nouns() + tuple(word for name in names for word in kinds()[name])


@cache
def vocabulary() -> tuple[str, ...]:
    """Every word of every kind, once, in alphabetical order."""
    return tuple(sorted({word for words in kinds().values() for word in words}))
