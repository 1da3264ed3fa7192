"""What storing features takes and saves: disk, seconds, bits."""

import os
import shutil
import time
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from nvlm.data.picture_features import FeatureWriter

MEASURED = 256
"""Views of which the error of fewer bits is measured, and pictures that are read back for their time."""


@dataclass
class Spent:
    """Seconds, and the views they were spent on."""

    views: int = 0
    decode: float = 0.0
    encode: float = 0.0
    write: float = 0.0
    bits: list[tuple[float, float]] = field(default_factory=list)
    """Of pictures: relative error and cosine, of fp8 features against fp16 ones."""


def check_disk(folder: Path, needed: int) -> None:
    """Whether there is room.

    Raises:
        ValueError: there is less than is needed.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ValueError(
            f"up to {needed / 1e9:,.1f} GB are needed in {folder}, and {free / 1e9:,.1f} GB are free; make room, name "
            "another folder, store fewer bits (--dtype fp8), or go ahead with --force: what fits is kept"
        )


def read_seconds(writer: FeatureWriter) -> float:
    """Seconds to read a view back from disk, past the system's cache where it lets us."""
    paths = [path for path in writer.folder.rglob("features.*") if path.is_file()]
    for path in paths:
        if hasattr(os, "posix_fadvise"):
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    began, views = time.perf_counter(), 0
    for features in islice(writer.stored(), MEASURED):
        views += len(features)
    return (time.perf_counter() - began) / max(views, 1)


def report(spent: Spent, read: float, dtype: str) -> dict[str, Any]:
    """The measured numbers: seconds a view, after how many passes storing pays, and what fewer bits cost.

    With features a view takes its decoding, encoding and writing once and its reading every pass; without, decoding and
    encoding every pass.
    """
    views = max(spent.views, 1)
    pixels, write = (spent.decode + spent.encode) / views, spent.write / views
    saved = pixels - read
    numbers: dict[str, Any] = {
        "dtype": dtype,
        "views": spent.views,
        "seconds_a_view": {
            "decode": spent.decode / views,
            "encode": spent.encode / views,
            "write": write,
            "read": read,
        },
        "pays_after_passes": (pixels + write) / saved if saved > 0 else None,
    }
    if spent.bits:
        relative, cosine = np.mean(spent.bits, axis=0).tolist()
        numbers["fp8_against_fp16"] = {"relative_rms": relative, "cosine": cosine}
    return numbers


def sentences(numbers: dict[str, Any]) -> list[str]:
    """The report in words."""
    seconds, passes = numbers["seconds_a_view"], numbers["pays_after_passes"]
    lines = [
        "a view takes "
        + ", ".join(f"{1000 * value:,.2f} ms to {name}" for name, value in seconds.items())
        + f" (measured on {numbers['views']:,} views)",
        "reading takes no less time than encoding, so storing does not pay here"
        if passes is None
        else f"storing pays from {passes:.2f} passes over the pictures on",
    ]
    if "fp8_against_fp16" in numbers:
        found = numbers["fp8_against_fp16"]
        lines.append(
            f"fp8 against fp16: relative RMS error {found['relative_rms']:.2%}, mean cosine {found['cosine']:.5f}"
        )
    return lines
