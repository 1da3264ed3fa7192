"""Seccomp: from here on this process asks the kernel for memory, time and what it may read, and for nothing else.

A list of what is allowed, since a list of what is not would have to know every way to a socket or another process.
"""

import ctypes
import errno
import os
import platform
from collections.abc import Iterator

CALLS = """
    read 0 63           write 1 64            close 3 57            fstat 5 80            lseek 8 62
    mmap 9 222          mprotect 10 226       munmap 11 215         brk 12 214            rt_sigaction 13 134
    rt_sigprocmask 14 135   rt_sigreturn 15 139   pread64 17 67     readv 19 65           writev 20 66
    mremap 25 216       madvise 28 233        dup 32 23             nanosleep 35 101      getitimer 36 102
    setitimer 38 103    getpid 39 172         exit 60 93            uname 63 160          fcntl 72 25
    getcwd 79 17        gettimeofday 96 169   getrlimit 97 163      getrusage 98 165      sysinfo 99 179
    times 100 153       getuid 102 174        getgid 104 176        geteuid 107 175       getegid 108 177
    getppid 110 173     sigaltstack 131 132   gettid 186 178        futex 202 98          sched_yield 24 124
    sched_getaffinity 204 123   getdents64 217 61     restart_syscall 219 128     clock_gettime 228 113
    clock_getres 229 114    clock_nanosleep 230 115   exit_group 231 94     openat 257 56 newfstatat 262 79
    readlinkat 267 78   faccessat 269 48      pselect6 270 72       ppoll 271 73          getrandom 318 278
    dup3 292 24         statx 332 291         rseq 334 293          faccessat2 439 439
    open 2 -            stat 4 -              lstat 6 -             poll 7 -              access 21 -
    select 23 -         dup2 33 -             alarm 37 -            readlink 89 -         time 201 -
"""
"""Name, number on x86-64, number on 64-bit ARM. No socket, process, thread, signal, program, or change of a file."""

MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Processor → which of the numbers, and its name in `linux/audit.h`."""

NO_NEW_PRIVILEGES, SET_SECCOMP, FILTER = 38, 22, 2
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000
NUMBER, ARCHITECTURE = 0, 4
"""Where `struct seccomp_data` has the call's number and the processor's name."""


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("value", ctypes.c_uint32))


class _Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(_Instruction)))


def allowed(machine: str) -> dict[str, int]:
    """The allowed calls by name, with their numbers on this processor.

    Raises:
        OSError: the numbers are not known.
    """
    if machine not in MACHINES:
        raise OSError(errno.ENOSYS, f"the system calls of {machine} are not listed")
    words = CALLS.split()
    numbers = dict(zip(words[::3], words[1 + MACHINES[machine][0] :: 3], strict=True))
    return {name: int(number) for name, number in numbers.items() if number != "-"}


def program(machine: str) -> Iterator[tuple[int, int, int, int]]:
    """The filter: (code, jump if equal, jump if not, value). What is not allowed fails with EPERM."""
    numbers = allowed(machine).values()
    yield LOAD, 0, 0, ARCHITECTURE
    yield JUMP_IF_EQUAL, 1, 0, MACHINES[machine][1]
    yield RETURN, 0, 0, KILL
    yield LOAD, 0, 0, NUMBER
    for number in numbers:
        yield JUMP_IF_EQUAL, 0, 1, number
        yield RETURN, 0, 0, ALLOW
    yield RETURN, 0, 0, REFUSE


def only_allowed_calls() -> None:
    """Refuse every other system call of this process. There is no way back.

    Raises:
        OSError: the kernel has no seccomp, or the processor is not known.
    """
    instructions = [_Instruction(*each) for each in program(platform.machine())]
    array = (_Instruction * len(instructions))(*instructions)
    libc = ctypes.CDLL(None, use_errno=True)
    filter_ = _Filter(len(instructions), array)
    if libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.prctl(SET_SECCOMP, FILTER, ctypes.byref(filter_), 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
