"""Where a step's batches come from: lanes, data ranks on paper, whose number does not depend on the machine.

A stage has a fixed number of lanes L. Lane l yields micro-batches by itself; step s is the next ``accumulate``
micro-batches of every lane. Of W data-parallel ranks (W divides L) rank r reads the lanes r, r + W, r + 2W …, so a
step's samples, their order and the state of the data are the same for every W.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Generic, Protocol, TypeVar

Batch = TypeVar("Batch")
Made = TypeVar("Made", covariant=True)


class Lane(Protocol[Made]):
    """One stream of micro-batches, exact to save and to restore."""

    def __next__(self) -> Made | list[Made]:
        """The next micro-batch: a dictionary that goes to ``model(**batch)``, with ``labels``.

        ``num_items_in_batch`` is put in by the engine. Under ``accounting`` there may be numbers for the log, see
        `nvlm.training.accounting`. A list is a micro-batch in parts: they go through the model one by one.
        """
        ...

    def state_dict(self) -> dict[str, Any]:
        """Where the lane stands after what it has handed out: what JSON holds, bytes and tensors, in dicts and lists.

        Tuples come back as lists.
        """
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to where a lane of the same number stood."""
        ...

    def close(self) -> None:
        """Stop what works in the background."""
        ...


class Batches(Protocol[Made]):
    """All micro-batches of a stage."""

    @property
    def lanes(self) -> int:
        """How many lanes there are; fixed for the run."""
        ...

    def open(self, lane: int) -> Lane[Made]:
        """Lane number ``lane`` (from 0), at its start."""
        ...


class StepBatches(Generic[Batch]):
    """Batches that are a function of the step, as lanes: lane l takes the parts l, l + L … of every step.

    All lanes stand at the same step, so a run may go on with another number of them.

    Args:
        batch_of: the batch of a step in one or several parts; the same for the same step.
        lanes: among how many lanes the parts are dealt.
    """

    def __init__(self, batch_of: Callable[[int], Sequence[Batch]], lanes: int = 1) -> None:
        self.lanes = lanes
        self._parts = lru_cache(maxsize=1)(batch_of)

    def open(self, lane: int) -> "StepLane[Batch]":
        """Lane number ``lane``; its state is the step."""
        return StepLane(lambda step: list(self._parts(step)[lane :: self.lanes]))


class StepLane(Generic[Batch]):
    """A lane that counts steps."""

    def __init__(self, parts_of: Callable[[int], list[Batch]]) -> None:
        self._parts_of, self._step = parts_of, 0

    def __next__(self) -> list[Batch]:
        parts = self._parts_of(self._step)
        self._step += 1
        return parts

    def state_dict(self) -> dict[str, Any]:
        """The next step."""
        return {"step": self._step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to a step."""
        self._step = int(state["step"])

    def close(self) -> None:
        """Nothing works in the background."""
