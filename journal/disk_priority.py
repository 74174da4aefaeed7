"""Lets what may take long stand back on the disk, behind what anybody else reads and writes; on Linux only.

There is no such thing for the processor here. A thread of low priority that is put aside while it holds the
interpreter's lock holds up the thread that trains, too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Numbers of ioprio_set(2) and ioprio_get(2); none where these are not known.
_CALLS = {"x86_64": (251, 252), "aarch64": (30, 31)} if sys.platform.startswith("linux") else {}
_THREAD, _THIS = 1, 0
# linux/ioprio.h: a class, and a level within it.
_CLASS, _REALTIME, _IDLE = 13, 1, 3 << 13


@contextmanager
def standing_back() -> Iterator[None]:
    """Have this thread's reads and writes wait for others' as long as the block runs, where the system allows it."""
    before = _priority()
    is_lowered = before is not None and before >> _CLASS != _REALTIME and _call(0, _IDLE) == 0
    try:
        yield
    finally:
        if is_lowered and before is not None:
            _call(0, before)


def _priority() -> int | None:
    """Return this thread's priority; None where there is none."""
    found = _call(1)
    return None if found < 0 else found


def _call(which: int, *values: int) -> int:
    """Ask for this thread's priority (1) or set it (0); return the system's answer, which is negative if it refuses."""
    if (numbers := _CALLS.get(os.uname().machine)) is None:
        return -1
    import ctypes  # now, as only whoever copies checkpoints needs it

    arguments = (numbers[which], _THREAD, _THIS, *values)
    answer: int = ctypes.CDLL(None, use_errno=True).syscall(*map(ctypes.c_long, arguments))
    return answer
