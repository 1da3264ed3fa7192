"""A plan's peak memory beside that of real runs, each in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the kernel's high-water mark of resident memory")
def test_the_nano_family_within_fifteen_percent():
    command = [sys.executable, str(ROOT / "benchmarks" / "plan_memory.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3000)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" sft ") == 3
