"""Blends: which folders of shards a stage reads, and how much of each.

A blend has parts with weights; a part is a folder or another blend. Weights say how many of the blend's samples, or of
its tokens, come from each part. What is drawn are samples, so weights that count tokens are divided by the mean tokens
of a part's samples.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias, get_args

from nvlm.data.manifest import find_dataset, read_manifest
from nvlm.data.prepared import read_prepared
from nvlm.data.prompts import STAGES, Stage

Counted: TypeAlias = Literal["samples", "tokens"]
COUNTED: tuple[Counted, ...] = get_args(Counted)
REMOTE = "msc://"
ROOT = "shards"
"""Where `nvlm data prepare` puts folders if nothing else is said."""


@dataclass(frozen=True)
class Folder:
    """A folder of shards.

    Attributes:
        address: a path, or ``msc://PROFILE/…`` in an object store that multi-storage-client is configured for.
        weight: in its blend.

    Raises:
        ValueError: an address of another kind, or a weight that is not above 0.
    """

    address: str
    weight: float = 1.0

    def __post_init__(self) -> None:
        _check_weight(self.weight, self.address)
        if "://" in self.address and not self.address.startswith(REMOTE):
            raise ValueError(
                f"{self.address} is no address that energon reads; object stores are {REMOTE}PROFILE/…, with a profile "
                "of multi-storage-client's configuration"
            )

    @property
    def local(self) -> Path | None:
        """The path, if it is one."""
        return None if "://" in self.address else Path(self.address)


@dataclass(frozen=True)
class Blend:
    """Parts with weights.

    Attributes:
        parts: folders and blends.
        weight: in the blend that this one is a part of.
        weights: what the weights of its parts count.

    Raises:
        ValueError: no parts, a weight that is not above 0, or weights that count something else.
    """

    parts: tuple["Folder | Blend", ...]
    weight: float = 1.0
    weights: Counted = "samples"

    def __post_init__(self) -> None:
        if not self.parts:
            raise ValueError("a blend has no parts; name at least one folder")
        if self.weights not in COUNTED:
            raise ValueError(f"weights count {' or '.join(COUNTED)}, not {self.weights!r}")
        _check_weight(self.weight, "a blend")

    def folders(self) -> Iterator[Folder]:
        """All folders, also those of blends in it."""
        for part in self.parts:
            if isinstance(part, Folder):
                yield part
            else:
                yield from part.folders()


class Share(NamedTuple):
    """Which share of all samples a folder gives."""

    address: str
    share: float


class _Drawn(NamedTuple):
    """A part by itself: what share of its samples each folder gives, and how to count tokens of a sample."""

    shares: dict[str, float]
    tokens: Callable[[], float]


def listed(name: str, stage: Stage, root: str = ROOT, weight: float = 1.0) -> Folder:
    """The folder of a dataset of the manifest.

    Raises:
        ValueError: there is no such dataset, or the paper does not use it in the stage.
    """
    stages = find_dataset(name).stages
    if stage not in stages:
        raise ValueError(f"the paper uses {name} for {' and '.join(stages)}, not for {stage}")
    return Folder(f"{root}/{stage}/{name}", weight)


def shares(blend: Blend, mean_tokens: Callable[[str], float]) -> list[Share]:
    """The share of all samples that each folder gives; together 1. A folder that is named twice gets both shares.

    Args:
        mean_tokens: address → mean tokens of a sample; asked only where weights count tokens.
    """
    return [Share(*pair) for pair in _drawn(blend, cache(mean_tokens)).shares.items()]


def _drawn(part: Folder | Blend, mean_tokens: Callable[[str], float]) -> _Drawn:
    if isinstance(part, Folder):
        return _Drawn({part.address: 1.0}, lambda: mean_tokens(part.address))
    inner = [_drawn(each, mean_tokens) for each in part.parts]
    by_tokens = part.weights == "tokens"
    rates = [each.weight / (own.tokens() if by_tokens else 1.0) for each, own in zip(part.parts, inner, strict=True)]
    rates = [rate / sum(rates) for rate in rates]
    found: dict[str, float] = {}
    for rate, own in zip(rates, inner, strict=True):
        for address, share in own.shares.items():
            found[address] = found.get(address, 0.0) + rate * share
    return _Drawn(found, lambda: sum(rate * own.tokens() for rate, own in zip(rates, inner, strict=True)))


def check_folders(blend: Blend) -> None:
    """Whether all folders on this disk are there and prepared to their end; of object stores nothing is asked.

    Raises:
        ValueError: some are not; the message names all of them, and what makes them.
    """
    lines = [line for folder in dict.fromkeys(blend.folders()) if (line := _missing(folder))]
    if lines:
        raise ValueError(f"{len(lines)} folders of the blend cannot be read: " + "; ".join(lines))


def _missing(folder: Folder) -> str:
    """What is missing of a folder; empty if nothing."""
    if folder.local is None:
        return ""
    prepared = read_prepared(folder.local)
    if prepared is not None and prepared.complete:
        return ""
    what = "is missing" if prepared is None else f"is prepared to row {prepared.rows:,} only"
    return f"{folder.address} {what} (`{_command(folder.local)}`)"


def _command(path: Path) -> str:
    """What prepares a folder."""
    words = ["nvlm data prepare", path.name]
    if path.name not in read_manifest():
        words.append("--format FORMAT")
    words.append("--from PATH")
    if path.parent.name in STAGES:
        words.append(f"--stage {path.parent.name} --out {path.parent.parent}")
    return " ".join(words)


def _check_weight(weight: float, what: str) -> None:
    if not weight > 0:
        raise ValueError(f"the weight of {what} is {weight}; it must be above 0")
