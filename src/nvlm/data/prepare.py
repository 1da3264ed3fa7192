"""Original files → shards: one pass over the rows, in pieces that can be stopped and resumed.

A shard is written beside its place and moved there when it is whole; then ``prepared.json`` says how many rows are
done. Whatever stops a run – Ctrl-C, a full disk, a power cut – loses at most the shard it was in, and the same command
goes on behind the last whole one: what comes out is the same, byte for byte, as without the interruption.
"""

import errno
from collections.abc import Collection, Iterator
from itertools import islice

from nvlm.data.energon import write_metadata
from nvlm.data.original import Original
from nvlm.data.pictures import Checked, check_picture
from nvlm.data.plan import Plan
from nvlm.data.prepared import Prepared, read_prepared, write_prepared
from nvlm.data.progress import Progress
from nvlm.data.quarantine import Quarantine, main_reason, quarantined
from nvlm.data.reading import Row
from nvlm.data.sample import Message
from nvlm.data.shards import ShardWriter, shard_name
from nvlm.data.sources.families import FAMILIES
from nvlm.processing.chat import marked, special_pattern

FEW = 1000
"""The share of bad rows counts as of at least so many: one of the first ten is no ground to stop."""

UNUSABLE = (ValueError, KeyError, TypeError, IndexError, AttributeError, OSError)
"""What a row raises that is not as it should be, or whose picture cannot be read."""


def prepare(plan: Plan, retry: bool = False) -> Prepared:
    """Convert what is not converted yet.

    Args:
        plan: what, from where, to where.
        retry: go through the rows in quarantine once more, after all others.

    Returns:
        how far the folder is now: complete.

    Raises:
        ValueError: the folder holds shards of another plan, the files are not those of the set, or more rows than
            allowed cannot be used.
        OSError: the disk is full, or a file cannot be read or written.
    """
    run = _Run(plan)
    try:
        if not run.state.complete:
            run.convert(run.state.rows, None)
            run.complete()
        if retry and (wanted := quarantined(plan.out)):
            run.convert(run.state.retried, wanted)
            run.complete()
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise OSError(
            f"{plan.out}: the disk is full; {run.state.samples:,} samples of {run.state.rows:,} rows are kept. "
            "Make room, and the same command goes on"
        ) from error
    finally:
        run.close()
    return run.state


class _Run:
    """One run of a plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.family = plan, FAMILIES[plan.family]
        plan.out.mkdir(parents=True, exist_ok=True)
        self.state = read_prepared(plan.out) or Prepared(plan.settings())
        self._check_settings()
        self._quarantine = Quarantine(plan.out, self.state.listed)
        self._progress = Progress(plan.source.name, plan.rows, self.state.rows)
        self._writer: ShardWriter | None = None
        self._bad = self.state.bad

    def convert(self, start: int, wanted: Collection[int] | None) -> None:
        """Go through the rows from ``start`` on: all of them, or those of the quarantine that are ``wanted``."""
        done = start
        for number, row in self._rows(start):
            done = number + 1
            if wanted is not None and number not in wanted:
                continue
            self._convert_row(number, row, again=wanted is not None)
            self._progress.update(done, self._counts())
            if wanted is None:
                self._check_share(done)
            if self._writer is not None and self._writer.length >= self.plan.shard_bytes:
                self._save(done, again=wanted is not None)
        self._save(done, again=wanted is not None)

    def complete(self) -> None:
        """Everything is done: say so, if not too much of it is in quarantine."""
        if self._bad > self.plan.max_bad_share * self.state.rows and not self.state.complete:
            raise ValueError(self._too_many(self.state.rows))
        if not self.state.shards:
            raise ValueError(f"{self.plan.source.folder} gave no samples, of {self.state.rows:,} rows")
        self.state.complete, self.state.retried = True, 0
        write_metadata(self.plan.out, self.state.shards)
        write_prepared(self.plan.out, self.state)

    def close(self) -> None:
        """Drop the shard that is not whole, and close what is open."""
        if self._writer is not None:
            self._writer.discard()
        self._quarantine.close()
        self._progress.close()

    def _rows(self, start: int) -> Iterator[tuple[int, Row | ValueError]]:
        return islice(enumerate(self.family.rows(self.plan.source)), start, None)

    def _convert_row(self, number: int, row: Row | ValueError, again: bool) -> None:
        id = ""
        try:
            if isinstance(row, ValueError):
                raise row
            id = str(row.get("id", ""))
            original = self.family.sample(row, self.plan.source)
            id = original.id or str(number)
            pictures = [check_picture(picture) for picture in original.pictures]
            check_messages(original.messages, len(pictures))
        except UNUSABLE as error:
            if not again:
                self._bad += 1
                self._quarantine.put(number, id, reason(error))
            return
        self._store(number, original, id, pictures)
        if again:
            self._bad -= 1
            self._quarantine.release(number, shard_name(len(self.state.shards)))

    def _store(self, number: int, original: Original, id: str, pictures: list[Checked]) -> None:
        if self._writer is None:
            self._writer = ShardWriter(self.plan.out / shard_name(len(self.state.shards)))
        name = self.plan.source.name
        task = original.task or self.plan.task
        self._writer.add(
            number, {"id": f"{name}/{id}", "source": name, "task": task, "messages": original.messages}, pictures
        )

    def _save(self, done: int, again: bool) -> None:
        """Finish the shard, and remember that the rows before ``done`` are."""
        if self._writer is not None:
            self._writer.finish()
            self.state.shards[self._writer.path.name] = len(self._writer)
            self._writer = None
        if again:
            self.state.retried = done
        else:
            self.state.rows = done
        self.state.bad, self.state.listed = self._bad, self._quarantine.flush()
        write_prepared(self.plan.out, self.state)

    def _check_settings(self) -> None:
        mine, theirs = self.plan.settings(), self.state.settings
        if odd := [name for name in mine if mine[name] != theirs.get(name)]:
            raise ValueError(
                f"{self.plan.out} holds shards of another {', '.join(odd)} ({theirs.get(odd[0])!r} there, "
                f"{mine[odd[0]]!r} now); name another folder, or remove this one to prepare it anew"
            )

    def _check_share(self, done: int) -> None:
        if self._bad > self.plan.max_bad_share * max(done, FEW):
            self._quarantine.flush()
            raise ValueError(self._too_many(done))

    def _too_many(self, done: int) -> str:
        return (
            f"{self._bad:,} of the first {done:,} rows of {self.plan.source.name} cannot be used, a share of "
            f"{self._bad / done:.1%}, and {self.plan.max_bad_share:.1%} is allowed; most often: "
            f"{main_reason(self.plan.out)} (all in {self._quarantine.path}; --max-bad-share allows more)"
        )

    def _counts(self) -> str:
        return f"  {self._bad:,} in quarantine  {len(self.state.shards):,} shards"


def check_messages(messages: list[Message], pictures: int) -> None:
    """Whether a conversation can be learned from.

    Raises:
        ValueError: it cannot be rendered, its pictures and places differ in number, or it has no answer at its end.
    """
    rendered, places = marked(messages, special_pattern(()))
    if len(places) != pictures:
        raise ValueError(f"the conversation has {len(places)} places for pictures, but there are {pictures}")
    if rendered[-1]["role"] != "assistant":
        raise ValueError(f"the last turn is the {rendered[-1]['role']}'s, so it has no answer")
    if not all(message["content"].strip() for message in rendered if message["role"] != "system"):
        raise ValueError("a turn is empty")


def reason(error: Exception) -> str:
    """What is wrong with a row, in words."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, KeyError):
        return f"the row has no {error}"
    if isinstance(error, ValueError):
        return " ".join(str(error).split())
    return f"the row is of another form: {type(error).__name__}: {error}"
