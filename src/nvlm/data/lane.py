"""One lane of packed micro-batches: samples are drawn, laid out and planned into rows ahead of their decoding.

What a lane hands out depends on its stream and its settings alone, not on the threads that work for it: plans are made
in order, and a plan becomes a micro-batch without a state. The state of a lane is that of its stream and its planner,
and where to fetch again the samples that were drawn but not handed out.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nvlm.data.bad_samples import Bad, BadSamples, bad
from nvlm.data.laid_out import LaidOut
from nvlm.data.packing import Piece, RowPlanner, Size, size_of
from nvlm.data.prepare import UNUSABLE, reason
from nvlm.data.rows import Made, Placed
from nvlm.data.stream import Raw, RawStream

IN_VAIN = 1000
"""So many samples in a row that cannot be used are the end: there may be no other."""


class Work(NamedTuple):
    """What a lane does to samples.

    Attributes:
        lay_out: a stored sample → a sample laid out.
        make: planned rows → a micro-batch.
    """

    lay_out: Callable[[Raw], LaidOut]
    make: Callable[[list[list[Placed]]], Made]


@dataclass
class _Held:
    """A sample that was drawn, and how many of its tokens were not handed out yet."""

    sample: LaidOut
    left: int

    def saved(self) -> list[Any]:
        """What is kept of it in a state."""
        return [self.left, len(self.sample.row), self.sample.raw.ticket]


@dataclass
class _Plan:
    """A micro-batch to be: its rows, and what was left out on the way to them."""

    rows: list[list[Piece]]
    bad: list[Bad] = field(default_factory=list)


class PackedLane:
    """An endless stream of micro-batches, as `nvlm.training.lanes.Lane` describes it.

    Args:
        stream: of the lane's samples.
        planner: of rows.
        work: on samples.
        rows: of a micro-batch.
        bad_samples: where samples are listed that cannot be used.
        pool: threads that work ahead; ``None`` works when a micro-batch is asked for.
        ahead: micro-batches that are made ahead by the pool.
    """

    def __init__(
        self,
        stream: RawStream,
        planner: RowPlanner,
        work: Work,
        *,
        rows: int,
        bad_samples: BadSamples,
        pool: Executor | None = None,
        ahead: int = 2,
    ) -> None:
        self._stream, self._planner, self._work, self._bad_samples = stream, planner, work, bad_samples
        self._count, self._pool, self._ahead = rows, pool, ahead
        self._held: dict[int, _Held] = {}
        self._plans: deque[tuple[_Plan, Future[Made] | None]] = deque()
        self._left_out: list[Bad] = []
        self._drawn = 0
        self._planned = self._planner.rows(self._sizes())
        self._filling: Future[None] | None = None

    def __next__(self) -> dict[str, Any]:
        """The next micro-batch: what `NVLMProcessor.encode_packed` gives, with ``accounting``.

        That is, per source, the samples, tokens, supervised tokens, images and tiles (views, thumbnails included) in
        it, and the samples that were dropped (too long) and quarantined (broken) on the way to it; then ``row_tokens``,
        the room of its rows, and ``spans``, the source and the supervised tokens of its samples in their order.

        Raises:
            ValueError: too large a share of a source's samples is broken, or stored features are missing.
        """
        counts: dict[str, Counter[str]] = {}
        while True:
            plan, made = self._next_plan()
            found = self._work.make(self._placed(plan)) if made is None else made.result()
            self._hand_out(plan, found, counts)
            if found.batch is not None:
                room = len(found.batch["input_ids"]) * self._planner.budget.tokens
                sources = {source: dict(own) for source, own in counts.items()}
                return found.batch | {"accounting": sources | {"row_tokens": room, "spans": found.spans}}

    def state_dict(self) -> dict[str, Any]:
        """Where the lane stands: numbers, texts and bytes in dicts and lists."""
        self._settle()
        return {
            "rows": self._count,
            "stream": self._stream.state_dict(),
            "planner": self._planner.state_dict(),
            "drawn": self._drawn,
            "held": [[key, *held.saved()] for key, held in self._held.items()],
            "plans": [
                {
                    "rows": [[list(piece) for piece in row] for row in plan.rows],
                    "bad": [list(each) for each in plan.bad],
                }
                for plan, _ in self._plans
            ],
            "bad_samples": self._bad_samples.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state; what comes then is what would have come without the interruption.

        Raises:
            ValueError: the state was made from other data or with other settings.
        """
        self.close()
        if state["rows"] != self._count:
            raise ValueError(
                f"the saved lane has micro-batches of {state['rows']} rows, and there are {self._count} now"
            )
        self._stream.load_state_dict(state["stream"])
        self._planner.load_state_dict(state["planner"])
        self._planned = self._planner.rows(self._sizes())
        self._bad_samples.load_state_dict(state["bad_samples"])
        self._drawn, self._left_out = state["drawn"], []
        self._held = {key: self._again(*saved) for key, *saved in state["held"]}
        for saved in state["plans"]:
            rows = [[Piece(*piece) for piece in row] for row in saved["rows"]]
            self._add(_Plan(rows, [Bad(*each) for each in saved["bad"]]))

    def close(self) -> None:
        """Stop what works in the background."""
        if self._filling is not None:
            self._filling.exception()  # waits; what went wrong there is no matter any more
            self._filling = None
        while self._plans:
            _, made = self._plans.pop()
            if made is not None and not made.cancel():
                made.exception()

    def _again(self, left: int, tokens: int, ticket: Any) -> _Held:
        raw = self._stream.again(ticket)
        sample = self._work.lay_out(raw)
        if len(sample.row) != tokens:
            raise ValueError(
                f"{raw.address}/{raw.shard}/{raw.key} has {len(sample.row):,} tokens and had {tokens:,} when the lane "
                "was saved; was another tokenizer, tile limit or system turn used then?"
            )
        return _Held(sample, left)

    def _next_plan(self) -> tuple[_Plan, Future[Made] | None]:
        self._settle()
        if not self._plans:
            self._add(self._plan())
        first = self._plans.popleft()
        if self._pool is not None:
            self._filling = self._pool.submit(self._fill)
        return first

    def _settle(self) -> None:
        """Wait for planning in the background: nothing else touches the lane meanwhile."""
        if self._filling is not None:
            filling, self._filling = self._filling, None
            filling.result()

    def _fill(self) -> None:
        while len(self._plans) < self._ahead:
            self._add(self._plan())

    def _add(self, plan: _Plan) -> None:
        made = None if self._pool is None else self._pool.submit(self._work.make, self._placed(plan))
        self._plans.append((plan, made))

    def _placed(self, plan: _Plan) -> list[list[Placed]]:
        return [[Placed(self._held[int(piece.key)].sample, piece) for piece in row] for row in plan.rows]

    def _plan(self) -> _Plan:
        rows = [next(self._planned) for _ in range(self._count)]
        plan, self._left_out = _Plan(rows, self._left_out), []
        return plan

    def _sizes(self) -> Iterator[tuple[int, Size]]:
        """The sizes of the samples as they are drawn, without those that cannot be laid out."""
        in_vain = 0
        for raw in self._stream:
            try:
                sample = self._work.lay_out(raw)
            except UNUSABLE as error:
                in_vain = self._leave_out(bad(raw, reason(error)), in_vain)
                continue
            size = size_of(sample.row)
            if self._planner.takes(size):
                self._held[self._drawn], in_vain = _Held(sample, size.tokens), 0
            else:
                in_vain = self._leave_out(
                    bad(raw, f"too long: {self._planner.budget.compared(size)}", broken=False), in_vain
                )
            self._drawn += 1
            yield self._drawn - 1, size

    def _leave_out(self, each: Bad, in_vain: int) -> int:
        """Take down a sample; the number of samples that were left out one after another."""
        self._left_out.append(each)
        if in_vain + 1 == IN_VAIN:
            raise ValueError(f"{IN_VAIN:,} samples one after another cannot be used; the last: {each.where}")
        return in_vain + 1

    def _hand_out(self, plan: _Plan, found: Made, counts: dict[str, Counter[str]]) -> None:
        """Count what goes out with a plan, and let go of it."""
        left_out = [*plan.bad, *(bad(sample.raw, why) for sample, why in found.broken)]
        for source, own in found.counts.items():
            counts.setdefault(source, Counter()).update(own)
        for each in left_out:
            counts.setdefault(each.source, Counter())["quarantined" if each.broken else "dropped"] += 1
        for row in plan.rows:
            for piece in row:
                held = self._held[int(piece.key)]
                held.left -= piece.last - piece.first
                if not held.left:
                    del self._held[int(piece.key)]
        drawn = Counter({source: own["samples"] for source, own in found.counts.items()})
        self._bad_samples.put(left_out, drawn + Counter(each.source for each in left_out))
