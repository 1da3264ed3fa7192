"""The paper's findings, each with its own numbers, what was found here, and a verdict by rule."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from nvlm.evaluation.published import PublishedRow, published
from nvlm.recipes.compare.evidence import Difference, Evidence, Scores, against_baseline, difference
from nvlm.recipes.compare.pools import PICTURES, TEXT_ONLY, TEXT_RICH
from nvlm.recipes.compare.timing import speed_up
from nvlm.recipes.compare.verdicts import Comparison, Verdict, better, faster, not_lost, together

TAG_COST = (
    "In this family's vocabulary a 1-D tag is 1 token, a 2-D grid tag 12 and a 2-D box tag about 25; the released "
    "model's 1-D tags are 5."
)
SIZE = "Text-rich tasks stand for ChartQA, DocVQA, TextVQA and OCRBench."


@dataclass(frozen=True)
class Finding:
    """One row of the table of findings.

    Attributes:
        claim, source, published: what the paper found, where, with which numbers.
        lines: what was compared here.
        note: in what the comparison is not the paper's.
    """

    claim: str
    source: str
    published: str
    lines: tuple[Comparison, ...]
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """What all comparisons say together."""
        return together(self.lines)


@dataclass(frozen=True)
class Found:
    """Everything that findings are read from.

    Attributes:
        runs: of every variant, by its name.
        baseline: the bare language model's scores by task.
        steps: seconds of training steps by variant, measured in turns: the same places are the same round.
    """

    runs: Mapping[str, Sequence[Evidence]]
    baseline: Mapping[str, Scores]
    steps: Mapping[str, Sequence[float]]

    def better(self, name: str, other: str, tasks: Sequence[str]) -> Comparison:
        """Is one variant better than another on these tasks?"""
        return better(f"{name} over {other}", difference(self.runs.get(name, ()), self.runs.get(other, ()), tasks))

    def kept(self, name: str) -> Comparison:
        """Has a variant kept the bare language model's text-only skill?"""
        runs = self.runs.get(name, ())
        found: Difference | None = against_baseline(runs, self.baseline, TEXT_ONLY) if runs and self.baseline else None
        return not_lost(f"{name} against the bare language model", found)

    def faster(self, name: str, other: str) -> Comparison:
        """Does one variant train faster than another?"""
        steps = self.steps
        both = name in steps and other in steps
        return faster(f"{name} against {other}", speed_up(steps[other], steps[name]) if both else None)


def findings(found: Found) -> list[Finding]:
    """Every finding of the paper that a small family can be asked about."""
    return [rule(found) for rule in RULES]


def _tiles(found: Found) -> Finding:
    lines = [found.better(name, f"{name}-low-res", TEXT_RICH) for name in ("d", "x")]
    numbers = "; ".join(_steps(table, "low resolution", "tiles, 1-D tags") for table in ("1", "2"))
    claim = "Tiles beat low resolution on text-rich tasks"
    return Finding(claim, "tables 1 and 2", numbers, tuple(lines), SIZE)


def _tags(found: Found) -> Finding:
    lines = [found.better(name, f"{name}-no-tags", PICTURES) for name in ("d", "x")]
    numbers = "; ".join(_steps(table, "tiles, no tags", "tiles, 1-D tags") for table in ("1", "2"))
    return Finding("1-D tile tags help", "tables 1 and 2", numbers, tuple(lines), "Over all picture tasks.")


def _ranking(found: Found) -> Finding:
    pairs = [("d", "d-2d-grid"), ("d", "d-2d-box"), ("d-2d-grid", "d-no-tags"), ("d-2d-box", "d-no-tags")]
    pairs.append(("d-no-tags", "d-low-res"))
    table = published("1")
    order = sorted(table.rows, key=lambda row: -row.values["DocVQA"])
    numbers = "DocVQA of D: " + ", ".join(f"{row.model} {row.values['DocVQA']}" for row in order)
    claim = "Tag formats rank: 1-D, then both 2-D, then none, then low resolution"
    lines = tuple(found.better(*pair, PICTURES) for pair in pairs)
    return Finding(claim, "table 1", numbers, lines, f"Over all picture tasks. {TAG_COST}")


def _speed(found: Found) -> Finding:
    rows = [f"{row.model} {row.values['samples per second']}" for row in _by_speed()]
    lines = (found.faster("x", "h"), found.faster("h", "d"))
    note = "A step of SFT without making its batch, on stored features; in the paper the encoder runs in every step."
    return Finding("X trains fastest, then H, then D", "table 3", f"samples/s: {', '.join(rows)}", lines, note)


def _text_rich(found: Found) -> Finding:
    lines = (found.better("d", "x", TEXT_RICH), found.better("d", "h", TEXT_RICH))
    rows = published("7").only("NVLM-D 72B", "NVLM-X 72B", "NVLM-H 72B").rows
    tasks = ("TextVQA", "ChartQA", "DocVQA", "OCRBench")
    numbers = "; ".join(f"{task}: " + " / ".join(f"{row.values[task]:g}" for row in rows) for task in tasks)
    return Finding("D is best at text-rich tasks", "table 7", f"D / X / H 72B, {numbers}", lines, SIZE)


def _unfreezing(found: Found) -> Finding:
    table = published("9")
    frozen, trained = table.row("NVLM-X 72B, frozen"), table.row("NVLM-X 72B")
    tasks = ("MathVista", "ChartQA", "DocVQA", "OCRBench")
    numbers = ", ".join(f"{task} {frozen.values[task]:g} → {trained.values[task]:g}" for task in tasks)
    lines = (found.better("x", "x-frozen", PICTURES),)
    return Finding("Training the language model in SFT helps X", "table 9", f"X 72B: {numbers}", lines)


def _text_kept(found: Found) -> Finding:
    rows = published("8").only("NVLM-D 72B", "NVLM-X 72B", "NVLM-H 72B").rows
    numbers = ", ".join(f"{row.model} {row.values['change']:+g}" for row in rows)
    claim = "With text-only data in SFT, text-only skill is kept or improved"
    lines = tuple(found.kept(name) for name in ("d", "x", "h"))
    return Finding(claim, "table 8", f"average change in points: {numbers}", lines)


def _text_lost(found: Found) -> Finding:
    claim = "Without text-only data in SFT, text-only skill is lost"
    rows = published("8").only("VILA", "LLaVA-OneVision", "InternVL").rows
    lost = ", ".join(f"{row.model} {row.values['change']:+g}" for row in rows)
    numbers = f"no table leaves the text out; others' models, average change in points: {lost}"
    lines = tuple(found.better(name, f"{name}-no-text", TEXT_ONLY) for name in ("d", "x", "h"))
    return Finding(claim, "table 8", numbers, lines, "Compared with the same variant trained with text.")


RULES: tuple[Callable[[Found], Finding], ...] = (
    _tiles, _tags, _ranking, _speed, _text_rich, _unfreezing, _text_kept, _text_lost,
)  # fmt: skip


def _steps(table: str, first: str, second: str) -> str:
    """How a published table moves from one row to another on the text-rich benchmarks."""
    held = published(table)
    old, new = held.row(first), held.row(second)
    tasks = ("ChartQA", "DocVQA", "OCRBench")
    moves = ", ".join(f"{task} {old.values[task]:g} → {new.values[task]:g}" for task in tasks)
    return f"{'D' if table == '1' else 'X'} 34B: {moves}"


def _by_speed() -> list[PublishedRow]:
    return sorted(published("3").rows, key=lambda row: -row.values["samples per second"])
