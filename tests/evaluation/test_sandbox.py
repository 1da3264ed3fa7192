"""What a program cannot do: each is contained, and fails with a reason."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nvlm.evaluation.sandbox import run
from nvlm.evaluation.sandbox.run import SandboxError, check_sandbox, run_program
from nvlm.evaluation.sandbox.seccomp import CALLS, LOAD, MACHINES, RETURN, allowed, program


@pytest.fixture
def sandbox():
    try:
        check_sandbox()
    except SandboxError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import os\nwhile True: os.fork()", "PermissionError"),
        ("import subprocess; subprocess.run(['ls'])", "PermissionError"),
        ("import os; os.execv('/bin/true', ['true'])", "PermissionError"),
        ("import threading; threading.Thread(target=print).start()", "RuntimeError: can't start new thread"),
        ("import socket; socket.create_connection(('127.0.0.1', 9))", "PermissionError"),
        ("import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM)", "PermissionError"),
        ("import os, signal; os.kill(os.getppid(), signal.SIGKILL)", "PermissionError"),
        ("import os; open(f'/proc/{os.getppid()}/environ').read()", "PermissionError"),
        ("import os; os.chmod('.', 0)", "PermissionError"),
        ("open('new.txt', 'w')", "PermissionError"),
        ("import resource; resource.setrlimit(resource.RLIMIT_AS, (-1, -1))", "ValueError"),
        ("b'x' * 10**12", "MemoryError"),
        ("def call(): call()\ncall()", "RecursionError"),
        ("import numpy", "ModuleNotFoundError"),
        ("import sys; sys.exit(0)", "SystemExit: 0"),
        ("import os; os._exit(0)", "ended before its tests were done"),
        ("import ctypes; ctypes.string_at(0)", "was ended by SIGSEGV"),
        ("class E(Exception):\n    def __str__(self): raise self\nraise E", "ended before its tests were done"),
        ("import os\nfor file in range(3, 30):\n  try:\n    while os.write(file, b'x' * 999): pass\n"
         "  except OSError: pass", "ended before its tests were done"),
        ("def f(", "SyntaxError"),
        ("input()", "EOFError"),
    ],
)  # fmt: skip
def test_it_is_contained_and_fails_with_a_reason(sandbox, text, reason):
    assert run_program(text).startswith(reason)


def test_it_can_neither_delete_nor_read_what_is_not_its_own(sandbox, tmp_path, monkeypatch):
    secret = tmp_path / "secret.txt"
    secret.write_text("the parent's")
    monkeypatch.setenv("SECRET", "the parent's")
    assert run_program(f"import os; os.remove({str(secret)!r})").startswith("PermissionError")
    assert run_program(f"open({str(secret)!r})").startswith("PermissionError")
    assert run_program("import os; assert 'SECRET' not in os.environ") is None
    assert secret.read_text() == "the parent's"


def test_an_endless_loop_ends_when_its_time_is_up(sandbox):
    began = time.monotonic()
    looping = run_program("while True: print('x' * 10000)", seconds=1)
    assert looping in ("took more than 1 seconds of the processor", "took more than 4 seconds")  # on a busy machine
    assert run_program("import time; time.sleep(60)", seconds=1) == "took more than 4 seconds"
    assert time.monotonic() - began < 50


def test_an_interrupted_run_leaves_no_program_behind(sandbox, tmp_path, monkeypatch):
    started = []
    real = subprocess.Popen

    def popen(*args, **options):
        process = real(*args, **options)
        started.append(process)
        monkeypatch.setattr(process, "wait", interrupted(process))
        return process

    def interrupted(process):
        whole, calls = process.wait, []

        def wait(timeout=None):
            calls.append(timeout)
            if len(calls) == 1:
                raise KeyboardInterrupt
            return whole(timeout)

        return wait

    monkeypatch.setattr(run.subprocess, "Popen", popen)
    with pytest.raises(KeyboardInterrupt):
        run_program("while True: pass")
    assert started[0].returncode == -signal.SIGKILL


def test_what_a_program_may_do(sandbox):
    assert run_program(
        "import math, hashlib, random, re, json, datetime, collections, heapq, decimal, statistics, asyncio, sqlite3\n"
        "assert hashlib.md5(b'a').hexdigest().startswith('0cc1')\n"
        "assert random.random() < 1 and datetime.datetime.now().year > 2000\n"
        "print('x' * 10**6)\n"
        "x = [0] * 10**6\n"
    ) is None  # fmt: skip


def test_sets_have_the_same_order_in_every_run(sandbox):
    order = "raise ValueError(list({'a', 'b', 'c', 'd', 'e'}))"
    assert run_program(order) == run_program(order)


def test_where_nothing_can_be_confined_it_is_told_and_nothing_runs(tmp_path, monkeypatch):
    (tmp_path / "child.py").write_text(
        run.CHILD.read_text().replace("    confine()", "    raise OSError('no Landlock')")
    )
    monkeypatch.setattr(run, "CHILD", tmp_path / "child.py")
    with pytest.raises(SandboxError, match=r"cannot be confined here \(OSError: no Landlock\).*--allow-unsandboxed"):
        run_program("x = 1")
    monkeypatch.setattr(run.sys, "platform", "darwin")
    with pytest.raises(SandboxError, match=r"this is darwin"):
        check_sandbox.__wrapped__()


def test_a_sandbox_that_lets_a_program_out_is_noticed(tmp_path, monkeypatch):
    (tmp_path / "child.py").write_text(run.CHILD.read_text().replace("    confine()", "    pass"))
    monkeypatch.setattr(run, "CHILD", tmp_path / "child.py")
    monkeypatch.setattr(run.sys, "platform", "linux")
    with pytest.raises(SandboxError, match="a program could leave the sandbox"):
        check_sandbox.__wrapped__()


def test_without_confinement_the_limits_still_hold():
    assert run_program("open('new.txt', 'w').write('mine')", confined=False) is None
    assert run_program("b'x' * 10**12", confined=False) == "MemoryError"
    assert not Path("new.txt").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="takes root, to become nobody")
def test_it_needs_no_rights(sandbox):
    """An ordinary user gets the same sandbox."""
    script = "from nvlm.evaluation.sandbox.run import *; check_sandbox(); print(run_program('open(\"/etc/passwd\")'))"
    source = Path(run.__file__).parents[3]
    try:
        done = subprocess.run(
            [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(source)!r}); {script}"],
            user=65534, group=65534, extra_groups=[], capture_output=True, text=True, cwd="/",
        )  # fmt: skip
    except PermissionError:
        pytest.skip("nobody cannot start this Python")
    assert done.stdout.startswith("PermissionError"), done.stderr


@pytest.mark.parametrize("machine", MACHINES)
def test_the_list_of_calls(machine):
    numbers = allowed(machine)
    assert len(set(numbers.values())) == len(numbers)
    never = {
        "socket",
        "connect",
        "clone",
        "clone3",
        "fork",
        "vfork",
        "execve",
        "kill",
        "ptrace",
        "unlink",
        "io_uring_setup",
    }
    assert not never & set(numbers)
    filter_ = list(program(machine))
    assert filter_[0][0] == LOAD
    assert filter_[-1][0] == RETURN
    assert len(filter_) == 5 + 2 * len(numbers)


def test_numbers_are_those_of_this_kernel_s_headers():
    """Where the headers are installed: a wrong number would allow another call."""
    header = next(Path("/usr/include").glob("*/asm/unistd_64.h"), None)
    if header is None or os.uname().machine != "x86_64":
        pytest.skip("no headers of an x86-64 kernel")
    words = [line.split() for line in header.read_text().splitlines() if line.startswith("#define __NR_")]
    known = {word[1].removeprefix("__NR_"): int(word[2]) for word in words}
    assert {name: known[name] for name in allowed("x86_64")} == allowed("x86_64")


def test_an_unknown_processor_is_told():
    with pytest.raises(OSError, match="system calls of mips are not listed"):
        allowed("mips")
    assert len(CALLS.split()) % 3 == 0
