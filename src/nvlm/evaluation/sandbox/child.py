"""The process in which a program runs; `run.py` starts it, alone, without the package.

On its standard input it gets the program, a token and its limits. On its standard output it writes the token when the
program begins, and the token with what came of it when it has ended.
"""

import json
import os
import sys
import sysconfig
from importlib import import_module
from pathlib import Path
from typing import Any

LONGEST_REASON = 300
LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64")
"""Where the standard library's own libraries may be."""


def main() -> None:
    """Read the job, give up what a program must not have, run it, tell."""
    job = json.load(sys.stdin)
    verdict = os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    limit(job["limits"])
    if job["confined"]:
        confine()
    for stream in range(3):
        os.dup2(nothing, stream)
    os.close(nothing)
    os.write(verdict, f"{job['token']}\n".encode())
    reason = attempt(job["program"])
    os.write(verdict, f"{job['token']}{json.dumps(reason)}".encode())
    os._exit(0)


def limit(limits: dict[str, list[int]]) -> None:
    """Set the limits of this process: soft and hard, by their names in `resource`."""
    resource = import_module("resource")
    for name, pair in limits.items():
        resource.setrlimit(getattr(resource, name), tuple(pair))


def confine() -> None:
    """No file but the standard library's, and no system call but those that computing takes.

    Raises:
        OSError: the kernel cannot do that.
    """
    sys.path.insert(0, str(Path(__file__).parent))
    landlock, seccomp = import_module("landlock"), import_module("seccomp")
    del sys.path[0]
    landlock.read_only(filter(os.path.isdir, {*LIBRARIES, sysconfig.get_path("stdlib"), f"{sys.base_prefix}/lib"}))
    seccomp.only_allowed_calls()


def attempt(program: str) -> str | None:
    """Run a program: None where it came to its end, else why not."""
    names: dict[str, Any] = {"__name__": "__main__"}
    try:
        exec(compile(program, "<program>", "exec"), names)
    except BaseException as error:
        return f"{type(error).__name__}: {error}".removesuffix(": ")[:LONGEST_REASON]
    return None


if __name__ == "__main__":
    main()
