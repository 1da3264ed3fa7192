"""Numbers of the report in words, the same on the page and in Markdown."""

from nvlm.recipes.compare.evidence import Difference, Quality
from nvlm.recipes.compare.report import Length, VariantReport
from nvlm.recipes.compare.timing import Median

NONE = "–"


def score(found: Quality) -> str:
    """A score in per cent; below it its interval over questions, and how far seeds lie apart."""
    mean, low, high = (100 * value for value in (found.score.mean, found.score.low, found.score.high))
    seeds = f"\nseeds {100 * min(found.seeds):.1f}–{100 * max(found.seeds):.1f}" if len(found.seeds) > 1 else ""
    return f"{mean:.1f}\n[{low:.1f}, {high:.1f}]{seeds}"


def points(found: Difference | None) -> str:
    """A difference in points; below it its interval over questions, and the difference of each seed."""
    if found is None:
        return NONE
    mean, low, high = (100 * value for value in (found.change.mean, found.change.low, found.change.high))
    seeds = ", ".join(f"{100 * seed:+.1f}" for seed in found.seeds)
    return f"{mean:+.1f}\n[{low:+.1f}, {high:+.1f}]\nby seed {seeds}"


def milliseconds(found: Median) -> str:
    """A median time with its interval."""
    return f"{1000 * found.value:.3g}\n[{1000 * found.low:.3g}, {1000 * found.high:.3g}]"


def rate(found: Median) -> str:
    """A median rate with its interval."""
    return f"{found.value:.3g}\n[{found.low:.3g}, {found.high:.3g}]"


def mebibytes(found: float | None) -> str:
    """A peak of memory."""
    return NONE if found is None else f"{found:,.0f} MiB"


def length(found: Length) -> str:
    """What a picture costs: the whole prompt, and what is read from where."""
    return f"{found.decoder}\n{found.in_sequence} + {found.in_memory}"


def parameters(found: VariantReport) -> str:
    """All parameters, and how many of them learn in SFT, in millions."""
    total = sum(each for each, _ in found.parameters.values())
    learning = sum(each for _, each in found.parameters.values())
    return f"{total / 1e6:.2f} M\n{learning / 1e6:.2f} M learn in SFT" if total else NONE


def parts(found: VariantReport) -> list[str]:
    """The parameters of every part, in millions, and how many of them learn in SFT."""
    counts = [(part, total, learning) for part, (total, learning) in found.parameters.items() if total]
    return [f"{part} {total / 1e6:.2f} M ({learning / 1e6:.2f})" for part, total, learning in counts]


def published(value: float | None) -> str:
    """A number of the paper's."""
    return NONE if value is None else f"{value:g}"


def gates(found: VariantReport) -> list[str]:
    """Tanh of every gate, one line a layer, the seeds beside each other."""
    layers = [layer for layer, _ in next(iter(found.gates.values()), ())]
    return [
        f"{layer}: " + ", ".join(f"{dict(values)[layer]:+.2f}" for values in found.gates.values()) for layer in layers
    ]


def minutes(seconds: float) -> str:
    """A time of training."""
    return f"{seconds / 60:.1f}"
