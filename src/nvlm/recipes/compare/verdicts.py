"""When a finding holds: rules on intervals and seeds, written down before there were results (decision 0041)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from nvlm.evaluation.intervals import MARGIN
from nvlm.recipes.compare.evidence import Difference
from nvlm.recipes.compare.timing import FEWEST, Median

Verdict = Literal["holds", "does not hold", "cannot tell"]
FEWEST_SEEDS = 2
"""One seed says nothing of how far seeds lie apart."""


@dataclass(frozen=True)
class Comparison:
    """One line of a finding: what is compared, the numbers, and what they say."""

    what: str
    numbers: str
    verdict: Verdict


def better(what: str, found: Difference | None) -> Comparison:
    """Is the first better than the second?

    It holds where the whole interval over questions is above 0 and every seed says so. It does not hold where the whole
    interval is below 0 and every seed says so, or where all of it is within `MARGIN` of 0: there is no difference.
    Else, and with one seed, nobody can tell.
    """
    if found is None:
        return missing(what)
    low, high, seeds = found.change.low, found.change.high, found.seeds
    verdict: Verdict = "cannot tell"
    if len(seeds) >= FEWEST_SEEDS:
        if low > 0 and min(seeds) > 0:
            verdict = "holds"
        elif (high < 0 and max(seeds) < 0) or found.change.verdict == "kept":
            verdict = "does not hold"
    return Comparison(what, said(found), verdict)


def not_lost(what: str, found: Difference | None) -> Comparison:
    """Did the first keep what the second has?

    It holds where the whole interval over questions, and every seed, is above -`MARGIN`; it does not where the whole
    interval is below 0 and every seed is, too.
    """
    if found is None:
        return missing(what)
    low, high, seeds = found.change.low, found.change.high, found.seeds
    verdict: Verdict = "cannot tell"
    if len(seeds) >= FEWEST_SEEDS:
        if low >= -MARGIN and min(seeds) >= -MARGIN:
            verdict = "holds"
        elif high < 0 and max(seeds) < 0:
            verdict = "does not hold"
    return Comparison(what, said(found), verdict)


def faster(what: str, found: Median | None) -> Comparison:
    """Is the first faster than the second? By how often it fits into the other's time, the interval against 1."""
    if found is None:
        return missing(what)
    verdict: Verdict = "cannot tell"
    if found.n >= FEWEST:
        verdict = "holds" if found.low > 1 else "does not hold" if found.high < 1 else "cannot tell"
    numbers = f"{found.value:.2f} times as fast [{found.low:.2f}, {found.high:.2f}], n = {found.n} rounds"
    return Comparison(what, numbers, verdict)


def missing(what: str) -> Comparison:
    """A comparison for which a variant was not trained, or not measured."""
    return Comparison(what, "not measured in this comparison", "cannot tell")


def together(lines: Sequence[Comparison]) -> Verdict:
    """A finding of several comparisons holds if all of them do, and does not if one of them does not."""
    verdicts = {line.verdict for line in lines}
    if "does not hold" in verdicts:
        return "does not hold"
    return "holds" if verdicts == {"holds"} else "cannot tell"


def said(found: Difference) -> str:
    """A difference in points, with its interval over questions and every seed's own."""
    mean, low, high = (100 * value for value in (found.change.mean, found.change.low, found.change.high))
    seeds = ", ".join(f"{100 * seed:+.1f}" for seed in found.seeds)
    return f"{mean:+.1f} points [{low:+.1f}, {high:+.1f}], n = {found.change.n}; by seed {seeds}"
