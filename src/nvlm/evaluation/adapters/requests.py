"""What harnesses ask for: how an answer is generated and where it ends, and which requests go together."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from itertools import groupby
from typing import Any, NamedTuple, TypeVar

from nvlm.evaluation.answers import before

LENGTHS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
SAMPLING = ("temperature", "top_p", "top_k")
NOT_OURS = ("image_aspect_ratio",)
"""Settings of other models that tasks carry along."""

T = TypeVar("T")


class Wanted(NamedTuple):
    """How an answer is generated.

    Attributes:
        length: its most tokens.
        ends: where it is cut.
        options: of `nvlm.inference.ask.write`; greedy where they are empty.
    """

    length: int
    ends: tuple[str, ...]
    options: dict[str, Any]

    def cut(self, text: str) -> str:
        """The answer without what follows its end."""
        return before(text, self.ends)


def read_settings(settings: Mapping[str, Any], length: int) -> Wanted:
    """A task's generation settings.

    Args:
        length: where none is set.
    """
    options = {name: value for name, value in settings.items() if value is not None and name not in NOT_OURS}
    until = options.pop("until", ())
    lengths = [options.pop(name) for name in LENGTHS if name in options]
    sampled = options.get("do_sample", options.get("temperature", 0) != 0) and options.get("temperature") != 0
    if not sampled:
        options = {name: value for name, value in options.items() if name not in (*SAMPLING, "do_sample")}
    ends = (until,) if isinstance(until, str) else tuple(until)
    return Wanted(int(next(iter(lengths), length)), tuple(filter(None, ends)), options)


def batches(requests: Sequence[T], size: int, key: Callable[[T], object] = lambda _: None) -> Iterator[list[T]]:
    """Requests in their order, of one kind in each batch."""
    for _, group in groupby(requests, key=key):
        alike = list(group)
        for start in range(0, len(alike), size):
            yield alike[start : start + size]


def number(given: int | str) -> int:
    """A number of questions that are asked together.

    Raises:
        ValueError: no number, such as ``auto``.
    """
    try:
        return max(1, int(given))
    except ValueError as error:
        raise ValueError(f"batch_size is {given!r}, but this model takes a number") from error


def harness(name: str, package: str) -> Any:
    """A module of a harness.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{package} is not installed: pip install {package}") from error
