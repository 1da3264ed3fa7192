"""The contract: what a benchmark asks, how it asks, how an answer is scored – and from which files it comes."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from nvlm.data.reading import Row
from nvlm.data.sample import Message
from nvlm.evaluation.reading import Picture, image_source

SYSTEM = "Follow the user's instruction and answer questions."
"""The system turn of NVLM's fine-tuning (paper, figure 12) and of the released evaluation code."""


class MissingData(FileNotFoundError):
    """A benchmark's files are not there; the message says what to get from where."""


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        id: unique in its set and split.
        content: text and pictures, in the order in which the user turn shows them.
        reference: what ``Benchmark.grade`` compares with; it is written to the records, so it holds plain JSON values.
        groups: names under which the score is reported besides the whole.
    """

    id: str
    content: tuple[str | Picture, ...]
    reference: Any = None
    groups: tuple[str, ...] = ()

    @property
    def pictures(self) -> list[Picture]:
        return [part for part in self.content if not isinstance(part, str)]

    @property
    def prompt(self) -> str:
        """The text, with ``<image>`` where the pictures stand."""
        return "".join(part if isinstance(part, str) else "<image>\n" for part in self.content)


class Graded(NamedTuple):
    """What came of an answer.

    Attributes:
        score: None where it cannot be known here.
        parsed: what was read out of the answer, None where nothing was.
        reason: why it is wrong, where that is more than another answer.
        also: its scores by other rules, which are reported beside.
    """

    score: float | None
    parsed: str | None
    reason: str | None = None
    also: Mapping[str, float] = {}


class Layout(NamedTuple):
    """Files of a published set.

    Attributes:
        pattern: where they are below the set's folder.
        rows: makes raw rows of the files found.
    """

    pattern: str
    rows: Callable[[Sequence[Path]], Iterator[Row]]


Grade: TypeAlias = Callable[[str, Any], Graded]
"""(answer, reference) → score."""

Judge: TypeAlias = Callable[[str], str]
"""A prompt → what a judging model answers."""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One benchmark; a file in ``benchmarks/`` makes one.

    Attributes:
        name: on the command line and in file names.
        origin: what to get, from where.
        licence, citation: of the data.
        splits: the layouts in which each split is published; the first split is the default.
        question: a row → a question.
        grade: (answer, reference) → score between 0 and 1 (CIDEr: 0 to 10).
        extraction: what is read out of an answer, in words, with its source.
        metric: in words, with its source.
        prompt: where the wording of the prompt comes from.
        system: the system turn, or none.
        max_new_tokens: of an answer; it is generated greedily.
        choices: the answers of which the likeliest is taken, in place of writing one; for text-only benchmarks. A model
            that cannot tell how likely an answer is writes one all the same.
        text_only: there are no pictures, so a bare language model can be asked too.
        divide_tiles: pictures of one question share the tile limit.
        corpus: scores of all (answer, reference) where one depends on the others.
        submission: what to send to the set's server for a split without references, from (id, parsed answer).
        judged: how a judging model is used in place of ``grade``.
        check: raises `ValueError` where answers cannot be graded on this machine.
        unsandboxed: grades where ``check`` would refuse, without what keeps a program that a model wrote from harm.
        made: the questions of a set that is generated, by split: it has no files, and no end.
        default_limit: how many questions are asked where none is named; all, if None.
    """

    name: str
    origin: str
    licence: str
    citation: str
    splits: Mapping[str, tuple[Layout, ...]]
    grade: Grade
    extraction: str
    metric: str
    prompt: str
    question: Callable[[Row], Question] | None = None
    system: str | None = SYSTEM
    max_new_tokens: int = 16
    choices: tuple[str, ...] = ()
    text_only: bool = False
    divide_tiles: bool = False
    corpus: Callable[[Sequence[tuple[str, Any]]], list[float]] | None = None
    submission: Callable[[Iterable[tuple[str, str]]], Any] | None = None
    judged: Callable[[Judge], Grade] | None = None
    check: Callable[[], None] | None = None
    unsandboxed: Grade | None = None
    made: Callable[[str], Iterator[Question]] | None = None
    default_limit: int | None = None

    @property
    def default_split(self) -> str:
        return next(iter(self.splits))

    @property
    def decoding(self) -> str:
        """How an answer is come by, in words."""
        if self.choices:
            return f"the likeliest of {', '.join(self.choices)}"
        return f"greedy, at most {self.max_new_tokens:,} new tokens"

    def check_split(self, split: str | None) -> str:
        """The split itself, or the default one.

        Raises:
            ValueError: the benchmark has no such split.
        """
        if split is not None and split not in self.splits:
            raise ValueError(f"{self.name} has no split {split!r}; there is {', '.join(self.splits)}")
        return split or self.default_split

    def find(self, split: str, folder: Path, deeper: bool = False) -> tuple[Layout, list[Path]] | None:
        """The layout in which the split lies in a folder (or one below it), with its files."""
        for layout in self.splits[split]:
            for prefix in ("", "*/") if deeper else ("",):
                if files := sorted(folder.glob(prefix + layout.pattern)):
                    return layout, files
        return None

    def missing(self, split: str, data: Path | None) -> MissingData:
        """The error that says what to get from where."""
        wanted = ", or ".join(layout.pattern for layout in self.splits[split])
        place = f"--data {data}" if data else "no folder was given with --data"
        return MissingData(
            f"the {split} split of {self.name} is not there ({place}); get {self.origin}; "
            f"wanted in a folder {self.name}/: {wanted}"
        )

    def questions(self, split: str, found: tuple[Layout, Sequence[Path]] | None = None) -> Iterator[Question]:
        """The questions of a split, in the set's order, each made when it is needed.

        Raises:
            ValueError: files of another form than the layout's.
        """
        if self.made is not None:
            yield from self.made(split)
            return
        assert self.question is not None and found is not None, f"{self.name} has neither files nor a generator"
        layout, files = found
        try:
            yield from map(self.question, layout.rows(files))
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise ValueError(
                f"a row of {files[0]} is not as {self.name} publishes it ({type(error).__name__}: {error}); "
                "is it another set, or another version?"
            ) from error


def to_messages(question: Question, system: str | None) -> list[Message]:
    """The question as a conversation."""
    turns: list[Message] = [] if system is None else [{"role": "system", "content": system}]
    if not question.pictures:
        return [*turns, {"role": "user", "content": question.prompt}]
    parts = [
        {"type": "text", "text": part} if isinstance(part, str) else {"type": "image", "image": image_source(part)}
        for part in question.content
    ]
    return [*turns, {"role": "user", "content": parts}]
