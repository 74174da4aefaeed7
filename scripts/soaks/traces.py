"""Counting a writer's system calls, and making them fail, from outside with strace."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from soaks.places import scratch
from soaks.processes import Child
from soaks.workload import Report


def why_no_strace() -> str | None:
    """Return the reason why system calls cannot be counted here, or None."""
    if not sys.platform.startswith("linux"):
        return "strace is for Linux"
    if shutil.which("strace") is None:
        return "strace is not installed (Debian and Ubuntu: apt-get install strace)"
    traced = subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], capture_output=True, check=False)
    return None if traced.returncode == 0 else "strace is not permitted to trace here"


def start_traced(work: Callable[[Report], None], name: str, injection: str) -> Child:
    """Fork a writer with a fault injected at calls of this name, and return when it has ended.

    Args:
        work: What the writer does.
        name: The system call.
        injection: Argument of strace's `inject`, e.g. `error=EIO:when=3`.
    """
    return _attached(work, ["-o", os.devnull, "-e", f"trace={name}", "-e", f"inject={name}:{injection}"])


def count_calls(work: Callable[[Path, Report], None], names: Iterable[str]) -> Counter[str]:
    """Return how often the work makes each of the system calls, on a new journal."""
    with scratch() as folder:
        log = folder / "log"
        _attached(partial(work, folder / "journal"), ["-o", str(log), "-e", f"trace={','.join(names)}"]).reap()
        return Counter(re.findall(r"^\d+ +(\w+)\(", log.read_text("utf-8"), re.MULTILINE))


def spread(count: int, limit: int) -> range:
    """Return all steps from 1 to `count`, or about `limit` of them, evenly spread."""
    stride = max(1, -(-count // limit))
    return range((stride + 1) // 2, count + 1, stride)


def _attached(work: Callable[[Report], None], options: list[str]) -> Child:
    """Fork the writer, attach strace to it, let it run, and wait for its end."""
    waiting, go = os.pipe()

    def work_when_attached(report: Report) -> None:
        os.read(waiting, 1)
        work(report)

    child = Child(work_when_attached)
    command = ["strace", "-f", *options, "-p", str(child.pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        said = tracer.stderr.readline()
        assert "attached" in said, said  # "strace: Process N attached"
        os.write(go, b".")
        for descriptor in (go, waiting):
            os.close(descriptor)
        child.wait_for_end()
    return child
