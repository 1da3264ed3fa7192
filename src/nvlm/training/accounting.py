"""What a step consisted of: numbers that lanes hand out beside their batches, added over lanes and ranks.

A micro-batch may hold ``accounting``: for every source a dictionary of counts (``samples``, ``tokens``, ``supervised``,
``images``, ``tiles``, ``dropped``, ``quarantined`` …), and numbers of the whole micro-batch (``row_tokens``).
"""

from collections.abc import Iterable, Mapping
from typing import Any

Numbers = dict[str, Any]
"""Numbers, and dictionaries of numbers."""


def added(many: Iterable[Mapping[str, Any]]) -> Numbers:
    """Sums, name by name, at every depth."""
    total: Numbers = {}
    for numbers in many:
        for name, value in numbers.items():
            if isinstance(value, Mapping):
                total[name] = added([total.get(name, {}), value])
            else:
                total[name] = total.get(name, 0) + value
    return total


def only_source(accounting: Mapping[str, Any]) -> str | None:
    """The one source that all samples of a micro-batch are from; None where there are several."""
    sources = [name for name, counts in accounting.items() if isinstance(counts, Mapping) and counts.get("samples", 1)]
    return sources[0] if len(sources) == 1 else None


def totals(accounting: Mapping[str, Any]) -> dict[str, float]:
    """All sources together, and the numbers that belong to none."""
    sources = added(value for value in accounting.values() if isinstance(value, Mapping))
    own = {name: value for name, value in accounting.items() if not isinstance(value, Mapping)}
    return added([sources, own])
