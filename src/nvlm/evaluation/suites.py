"""Every benchmark by name, and the suites that name several."""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from nvlm.evaluation.benchmark import Benchmark, Layout, MissingData
from nvlm.evaluation.benchmarks.ai2d import AI2D, AI2D_NO_MASK
from nvlm.evaluation.benchmarks.chartqa import CHARTQA
from nvlm.evaluation.benchmarks.coco import COCO
from nvlm.evaluation.benchmarks.docvqa import DOCVQA
from nvlm.evaluation.benchmarks.gsm8k import GSM8K
from nvlm.evaluation.benchmarks.humaneval import HUMANEVAL
from nvlm.evaluation.benchmarks.math import MATH
from nvlm.evaluation.benchmarks.mathvista import MATHVISTA
from nvlm.evaluation.benchmarks.mmlu import MMLU
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

TEXT = (MMLU, GSM8K, MATH, HUMANEVAL)
"""NVLM's four text-only benchmarks (paper, table 8)."""

SMALL = (TABMWP, SROIE, NLVR)
"""Small public sets that download in minutes."""

BENCHMARKS: dict[str, Benchmark] = {each.name: each for each in (*NANO.values(), *VISION, *TEXT, *SMALL)}

SUITES: dict[str, tuple[str, ...]] = {
    "nano": tuple(NANO),
    "vision": tuple(each.name for each in VISION),
    "text": tuple(each.name for each in TEXT),
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
    suite: str,
    split: str | None = None,
    data: Path | None = None,
    limit: int | None = None,
    unsandboxed: bool = False,
) -> tuple[list[Job], dict[str, Exception]]:
    """What is to be asked, and which benchmarks of a suite are left out, and why.

    Args:
        unsandboxed: programs that a model writes are run also where they cannot be kept from harm.

    Raises:
        ValueError: an unknown name or split, a folder that does not exist, or answers to a benchmark that was named
            cannot be graded here.
        MissingData: the data of a benchmark that was named, or of all of a suite, are not there.
    """
    if data is not None and not data.is_dir():
        raise ValueError(f"--data {data} is no folder")
    named, brought = choose(suite)
    planned: list[Job] = []
    left_out: dict[str, Exception] = {}
    for benchmark in [*named, *brought]:
        part = benchmark.check_split(split)
        try:
            planned.append(_job(benchmark, part, data, limit, unsandboxed, optional=benchmark not in named))
        except (MissingData, ValueError) as error:
            if benchmark in named:
                raise
            left_out[benchmark.name] = error
    if not planned:
        raise _nothing(left_out)
    return planned, left_out


def _nothing(left_out: Mapping[str, Exception]) -> Exception:
    """Why not one benchmark of a suite can be asked: the first at length, the others by name."""
    first, *others = left_out
    if not others:
        return left_out[first]
    return MissingData(f"{left_out[first]}; nor are {', '.join(others)}: nvlm eval --list says what to get from where")


def _job(
    benchmark: Benchmark, split: str, data: Path | None, limit: int | None, unsandboxed: bool, optional: bool
) -> Job:
    found = None if benchmark.made else locate(benchmark, split, data)
    if not benchmark.made and not found:
        raise benchmark.missing(split, data)
    if benchmark.check is not None:
        if not unsandboxed:
            benchmark.check()
        elif benchmark.unsandboxed is not None:
            benchmark = replace(benchmark, grade=benchmark.unsandboxed)
    return Job(benchmark, split, found, limit, optional)


def locate(benchmark: Benchmark, split: str, data: Path | None) -> tuple[Layout, list[Path]] | None:
    """The files of a split: in a folder of ``data`` that is called after the benchmark, or in ``data`` itself.

    Text-only sets may also lie together in a folder ``text``.
    """
    if data is None:
        return None
    for root in (data, data / "text") if benchmark.text_only and (data / "text").is_dir() else (data,):
        for folder in _folders(benchmark, root):
            if found := benchmark.find(split, folder, deeper=True):
                return found
        if found := benchmark.find(split, root):
            return found
    return None


def _folders(benchmark: Benchmark, data: Path) -> Iterator[Path]:
    """Folders whose name begins with the benchmark's, and with no longer benchmark's name."""
    for folder in sorted(each for each in data.iterdir() if each.is_dir()):
        begins = [name for name in BENCHMARKS if plain(folder.name).startswith(plain(name))]
        if benchmark.name == max(begins, key=len, default=None):
            yield folder


def plain(name: str) -> str:
    """Letters and digits of a name, in lower case."""
    return re.sub(r"[\W_]", "", name.lower())
