"""Landlock: from here on this process opens only what it is allowed to (Linux 5.13 and later; Salaün, landlock(7))."""

import ctypes
import os
from collections.abc import Iterable

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
"""System calls, the same on every processor."""

VERSION_FLAG, PATH_BENEATH, NO_NEW_PRIVILEGES = 1, 1, 38
READ = 1 << 2 | 1 << 3
"""To read files, and to list folders."""

EVERYTHING = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""Version → how many rights over files it knows; later ones know the same."""


class _Ruleset(ctypes.Structure):
    _fields_ = (("over_files", ctypes.c_uint64),)


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


def read_only(folders: Iterable[str]) -> None:
    """Give up every right over files, but to read what lies in these folders. There is no way back.

    Files that are open already stay usable.

    Raises:
        OSError: the kernel has no Landlock, or it is switched off.
    """
    libc = ctypes.CDLL(None, use_errno=True)

    def call(number: int, *arguments: object) -> int:
        given = int(libc.syscall(ctypes.c_long(number), *arguments))
        if given < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return given

    zero = ctypes.c_size_t(0)
    version = call(CREATE_RULESET, None, zero, VERSION_FLAG)
    rules = _Ruleset((1 << EVERYTHING[min(version, max(EVERYTHING))]) - 1)
    ruleset = call(CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(ctypes.sizeof(rules)), 0)
    for folder in folders:
        place = os.open(folder, os.O_PATH | os.O_CLOEXEC)
        rule = _Beneath(READ, place)
        call(ADD_RULE, ruleset, PATH_BENEATH, ctypes.byref(rule), 0)
        os.close(place)
    if libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "this process cannot give up gaining rights")
    call(RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
