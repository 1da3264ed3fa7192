"""What a step consisted of: numbers that lanes hand out beside their batches, added over lanes and ranks.

A micro-batch may hold ``accounting``: for every source a dictionary of counts (``samples``, ``tokens``, ``supervised``,
``images``, ``tiles``, ``dropped``, ``quarantined`` …), ``row_tokens``, the room of its rows, and ``spans``, whose
tokens have a loss, sample by sample (see `nvlm.training.source_losses`).
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


def totals(accounting: Mapping[str, Any]) -> dict[str, float]:
    """All sources together, and the numbers that belong to none."""
    sources = added(value for value in accounting.values() if isinstance(value, Mapping))
    own = {name: value for name, value in accounting.items() if not isinstance(value, Mapping)}
    return added([sources, own])
