"""A step as one rank sees it: the micro-batches of its lanes, and what the ranks have to agree on before they begin."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from nvlm.modeling.config import NVLMConfig
from nvlm.modeling.loss import IGNORED
from nvlm.training.accounting import Numbers
from nvlm.training.lanes import Batch, Batches
from nvlm.training.pictures import Shown, complete, shown
from nvlm.training.ranks import Ranks
from nvlm.training.source_losses import Spans

COUNT = "num_items_in_batch"


@dataclass
class Pass(Generic[Batch]):
    """One micro-batch on its way through the model.

    Attributes:
        batch: what the loss is computed from.
        seed: of everything random in the pass: it depends on step and lane, and not on the rank.
        supervised: tokens that have a loss; 0 where the batch does not show it.
        row_tokens: room of its rows, as its lane says or as they are.
        accounting: what came beside the batch.
        spans: whose tokens have a loss, as far as its lane says.
        by_source: by source, the sum of their losses and their number.
        idle: whether it only keeps the others company: its loss counts for nothing.
    """

    batch: Batch
    seed: int
    supervised: int = 0
    row_tokens: int = 0
    accounting: Numbers = field(default_factory=dict)
    spans: Spans = ()
    by_source: dict[str, tuple[Tensor, int]] = field(default_factory=dict)
    idle: bool = False


class Feed(Generic[Batch]):
    """The lanes of one rank, opened.

    Args:
        batches: of the stage.
        ranks: this rank reads every ``layout.ranks``-th lane.
        accumulate: micro-batches that every lane gives to a step.
        seed: of the stage.

    Raises:
        ValueError: the ranks cannot share the lanes evenly.
    """

    def __init__(self, batches: Batches[Batch], ranks: Ranks, accumulate: int, seed: int) -> None:
        shares, count = ranks.layout.ranks, batches.lanes
        if count % shares:
            raise ValueError(
                f"{count} lanes cannot be shared evenly among {shares} data-parallel ranks; choose a number of ranks "
                f"that divides {count}, or begin the run with more lanes"
            )
        self._accumulate, self._seed = accumulate, seed
        self.lanes = {lane: batches.open(lane) for lane in range(ranks.data_rank, count, shares)}

    def step(self, step: int) -> list[Pass[Batch]]:
        """This rank's share of the next step."""
        return [
            made(batch, random.Random(f"{self._seed}/{step}/{lane}/{number}").getrandbits(62))
            for lane in self.lanes
            for number, batch in enumerate(self._batches(lane))
        ]

    def _batches(self, lane: int) -> Iterator[Batch]:
        for _ in range(self._accumulate):
            given = next(self.lanes[lane])
            yield from given if isinstance(given, list) else [given]

    def states(self) -> dict[int, dict[str, Any]]:
        """Where every lane stands."""
        return {number: lane.state_dict() for number, lane in self.lanes.items()}

    def restore(self, states: Mapping[int, dict[str, Any]]) -> None:
        """Go to where the lanes stood."""
        for number, lane in self.lanes.items():
            lane.load_state_dict(states[number])

    def close(self) -> None:
        """Close all lanes."""
        for lane in self.lanes.values():
            lane.close()


def made(batch: Any, seed: int) -> Pass[Any]:
    """A micro-batch with what it says about itself; dictionaries are copied, so that a lane may keep its own."""
    if not isinstance(batch, Mapping):
        return Pass(batch, seed)
    own = dict(batch)
    accounting = dict(own.pop("accounting", {}))
    spans = [(str(source), int(count)) for source, count in accounting.pop("spans", ())]
    labels, ids = own.get("labels"), own.get("input_ids")
    supervised = int((labels[:, 1:] != IGNORED).sum()) if isinstance(labels, Tensor) and labels.ndim == 2 else 0
    row_tokens = accounting.pop("row_tokens", ids.numel() if isinstance(ids, Tensor) else 0)
    return Pass(own, seed, supervised, row_tokens, accounting, spans)


def agree(passes: list[Pass[Any]], ranks: Ranks) -> int:
    """The supervised tokens of the whole step.

    Every batch that counts its own, and does not come with a number, gets them as ``num_items_in_batch``.
    """
    supervised = int(ranks.total([sum(each.supervised for each in passes)])[0])
    for each in passes:
        if each.supervised and COUNT not in each.batch:
            each.batch[COUNT] = supervised
    return supervised


def keep_company(passes: list[Pass[Any]], ranks: Ranks, config: Any) -> None:
    """Make every rank go through as many passes as the busiest, and through the same modules in each, in place.

    Args:
        config: of the model.

    Raises:
        ValueError: a rank has nothing to go through while others do.
    """
    most, negative = ranks.largest([len(passes), -len(passes)])
    if not negative:
        raise ValueError(f"a rank has no micro-batch in a step where another has {most:.0f}; use fewer lanes or ranks")
    last = passes[-1]
    for _ in range(int(most) - len(passes)):
        batch = dict(last.batch) if isinstance(last.batch, Mapping) else last.batch
        passes.append(Pass(batch, last.seed, idle=True))
    if isinstance(config, NVLMConfig):
        flags = [float(flag) for each in passes for flag in shown(each.batch)]
        wanted = [value > 0 for value in ranks.largest(flags)]
        for number, each in enumerate(passes):
            complete(each.batch, config, Shown(*wanted[3 * number : 3 * number + 3]))


def on(device: torch.device, batch: Any) -> Any:
    """The batch with its tensors on a device."""
    if device.type == "cpu":
        return batch
    return tree_map(lambda value: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value, batch)
