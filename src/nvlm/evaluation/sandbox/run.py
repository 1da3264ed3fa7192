"""Run a program that a model wrote, and say what came of it.

It runs in a process of its own that has an empty folder and an empty environment, reads the standard library and
nothing else, writes no file, reaches no network and no other process, starts none, and is ended with its session when
its time is up. Linux keeps it so by Landlock and seccomp, which need no rights and work in containers too.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import IO

CHILD = Path(__file__).with_name("child.py")
SECONDS = 3
"""Of processor time that a program has, as in Chen et al. (2021)."""

PATIENCE = 4
"""As many times that by the clock, since others may be using the processor."""

MEMORY, OUTPUT, FILES = 1 << 30, 1 << 16, 32
"""Bytes of address space, bytes of a file, open files."""

PROBE = """\
import os, socket
for attempt in (lambda: os.listdir({folder!r}), lambda: open({file!r}), socket.socket, os.fork):
    try:
        attempt()
    except OSError:
        continue
    raise RuntimeError("a program could leave the sandbox")
"""
"""Tries what a program must not be able to do."""


class SandboxError(ValueError):
    """There is no safe place for programs on this machine; the message says why, and what to do."""


def run_program(program: str, confined: bool = True, seconds: int = SECONDS) -> str | None:
    """Run a program to its end.

    Args:
        confined: keep it from files, the network and other processes; without that, only its limits hold.
        seconds: of processor time; ``PATIENCE`` times as many by the clock.

    Returns:
        None where it came to its end, else why not: its error, a limit, a signal.

    Raises:
        SandboxError: it was not run, since it cannot be confined here.
    """
    token = secrets.token_hex(8)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as told:
        job = {"program": program, "token": token, "limits": limits(seconds), "confined": confined}
        given.write(json.dumps(job).encode())
        given.seek(0)
        code = _run(folder, given, told, seconds * PATIENCE)
        told.seek(0)
        return _read(told.read().decode(errors="replace"), token, code, seconds)


def limits(seconds: int) -> dict[str, tuple[int, int]]:
    """Soft and hard limits of a program's process, by their names in `resource`."""
    fixed = {
        "RLIMIT_AS": MEMORY, "RLIMIT_FSIZE": OUTPUT, "RLIMIT_NOFILE": FILES, "RLIMIT_NPROC": 0, "RLIMIT_CORE": 0,
    }  # fmt: skip
    return {"RLIMIT_CPU": (seconds, seconds + 1)} | {name: (most, most) for name, most in fixed.items()}


def _run(folder: str, given: IO[bytes], told: IO[bytes], patience: int) -> int | None:
    """The exit code of the process, None if its time was up."""
    # -P, -s, -S: without the script's folder and installed packages, so that a score does not depend on them
    command = [sys.executable, "-P", "-s", "-S", str(CHILD)]
    environment = {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.Popen(
        command, stdin=given, stdout=told, stderr=told, cwd=folder, env=environment, start_new_session=True
    )
    try:
        return process.wait(patience)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _read(told: str, token: str, code: int | None, seconds: int) -> str | None:
    """What was told of the program, or what the end of its process tells."""
    before, began, rest = told.partition(f"{token}\n")
    if not began:
        raise SandboxError(_advice((before.strip().splitlines() or ["its process did not begin"])[-1]))
    _, ended, reason = rest.rpartition(token)
    if ended:
        verdict: str | None = json.loads(reason)
        return verdict
    if code is None:
        return f"took more than {seconds * PATIENCE} seconds"
    if code == -signal.SIGXCPU:
        return f"took more than {seconds} seconds of the processor"
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else "ended before its tests were done"


@cache
def check_sandbox() -> None:
    """Confine a program that tries to get out.

    Raises:
        SandboxError: it could not be confined, or got out.
    """
    if not sys.platform.startswith("linux"):
        raise SandboxError(_advice(f"this is {sys.platform}"))
    with tempfile.NamedTemporaryFile() as secret:
        if reason := run_program(PROBE.format(folder=str(Path.home()), file=secret.name)):
            raise SandboxError(_advice(reason))


def _advice(reason: str) -> str:
    return (
        f"programs that a model writes cannot be confined here ({reason}); that takes Linux 5.13 or later with "
        "Landlock and seccomp. Where nothing can be harmed, --allow-unsandboxed runs them all the same"
    )
