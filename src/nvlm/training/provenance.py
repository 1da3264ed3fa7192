"""What a run was made with: versions and the revision of the code, written beside every checkpoint."""

import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("nvlm", "torch", "transformers", "tokenizers", "pillow", "numpy", "megatron-energon")
"""What decides weights, samples or pixels; the last is an extra."""


def provenance(given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What the caller says about the run (its recipe, say), and what can be found out here."""
    return {
        **(given or {}),
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "git": revision(),
    }


def _version(package: str) -> str | None:
    """A package's version; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def revision() -> str | None:
    """The commit that this code is at, with ``+changes`` where files differ from it; None outside a repository."""
    here = Path(__file__).resolve().parent
    commit = _git(here, "rev-parse", "HEAD")
    if commit is None or not _git(here, "ls-files", Path(__file__).name):  # some other project's repository
        return None
    return commit + ("+changes" if _git(here, "status", "--porcelain", "--untracked-files=no") else "")


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
