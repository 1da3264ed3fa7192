"""Every benchmark by name, and the suites that name several."""

import difflib
import re
from collections.abc import Iterator
from pathlib import Path

from nvlm.evaluation.benchmark import Benchmark, Layout
from nvlm.evaluation.benchmarks.ai2d import AI2D, AI2D_NO_MASK
from nvlm.evaluation.benchmarks.chartqa import CHARTQA
from nvlm.evaluation.benchmarks.coco import COCO
from nvlm.evaluation.benchmarks.docvqa import DOCVQA
from nvlm.evaluation.benchmarks.mathvista import MATHVISTA
from nvlm.evaluation.benchmarks.mmmu import MMMU
from nvlm.evaluation.benchmarks.nlvr import NLVR
from nvlm.evaluation.benchmarks.ocrbench import OCRBENCH
from nvlm.evaluation.benchmarks.realworldqa import REALWORLDQA
from nvlm.evaluation.benchmarks.sroie import SROIE
from nvlm.evaluation.benchmarks.tabmwp import TABMWP
from nvlm.evaluation.benchmarks.textvqa import TEXTVQA
from nvlm.evaluation.benchmarks.vqav2 import VQAV2
from nvlm.evaluation.nano_suite import NANO
from nvlm.evaluation.runner import Job

VISION = (
    MMMU, MATHVISTA, OCRBENCH, AI2D, AI2D_NO_MASK, CHARTQA, DOCVQA, TEXTVQA, REALWORLDQA, VQAV2, COCO,
)  # fmt: skip
"""NVLM's nine vision-language benchmarks (paper, section 6.1), and captioning of the released evaluation code."""

SMALL = (TABMWP, SROIE, NLVR)
"""Small public sets that download in minutes."""

BENCHMARKS: dict[str, Benchmark] = {each.name: each for each in (*NANO.values(), *VISION, *SMALL)}

SUITES: dict[str, tuple[str, ...]] = {
    "nano": tuple(NANO),
    "vision": tuple(each.name for each in VISION),
    "small": tuple(each.name for each in SMALL),
    "all": tuple(BENCHMARKS),
}


def choose(suite: str) -> tuple[list[Benchmark], list[Benchmark]]:
    """The benchmarks that a list such as ``chartqa,docvqa`` names, and those that a suite in it brings.

    The data of the former have to be there; the latter are left out where they are not.

    Raises:
        ValueError: a name that is neither a benchmark nor a suite.
    """
    words = list(filter(None, (word.strip().lower() for word in suite.split(","))))
    if not words:
        raise ValueError(f"--suite names nothing; there is {', '.join(SUITES)}, or names of benchmarks")
    named = [BENCHMARKS[word] for word in dict.fromkeys(words) if word in BENCHMARKS]
    brought: dict[str, Benchmark] = {}
    for word in words:
        if word in SUITES:
            brought |= {name: BENCHMARKS[name] for name in SUITES[word]}
        elif word not in BENCHMARKS:
            near = difflib.get_close_matches(word, [*SUITES, *BENCHMARKS], n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(
                f"there is no suite or benchmark {word!r}{hint} (suites: {', '.join(SUITES)}; `nvlm eval --list` shows "
                "the benchmarks)"
            )
    return named, [each for name, each in brought.items() if each not in named]


def jobs(
    suite: str, split: str | None = None, data: Path | None = None, limit: int | None = None
) -> tuple[list[Job], list[FileNotFoundError]]:
    """What is to be asked, and why benchmarks of a suite are left out.

    Raises:
        ValueError: an unknown name or split, or a folder that does not exist.
        MissingData: the data of a benchmark that was named, or of all of a suite, are not there.
    """
    if data is not None and not data.is_dir():
        raise ValueError(f"--data {data} is no folder")
    named, brought = choose(suite)
    planned: list[Job] = []
    missing: list[FileNotFoundError] = []
    for benchmark in [*named, *brought]:
        part = benchmark.check_split(split)
        found = None if benchmark.made else locate(benchmark, part, data)
        if benchmark.made or found:
            planned.append(Job(benchmark, part, found, limit))
        elif benchmark in named:
            raise benchmark.missing(part, data)
        else:
            missing.append(benchmark.missing(part, data))
    if not planned:
        raise missing[0]
    return planned, missing


def locate(benchmark: Benchmark, split: str, data: Path | None) -> tuple[Layout, list[Path]] | None:
    """The files of a split: in a folder of ``data`` that is called after the benchmark, or in ``data`` itself."""
    if data is None:
        return None
    for folder in _folders(benchmark, data):
        if found := benchmark.find(split, folder, deeper=True):
            return found
    return benchmark.find(split, data)


def _folders(benchmark: Benchmark, data: Path) -> Iterator[Path]:
    """Folders whose name begins with the benchmark's, and with no longer benchmark's name."""
    for folder in sorted(each for each in data.iterdir() if each.is_dir()):
        begins = [name for name in BENCHMARKS if plain(folder.name).startswith(plain(name))]
        if benchmark.name == max(begins, key=len, default=None):
            yield folder


def plain(name: str) -> str:
    """Letters and digits of a name, in lower case."""
    return re.sub(r"[\W_]", "", name.lower())
