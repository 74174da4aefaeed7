"""The machine that figures were measured on."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
from pathlib import Path

import psutil

from journal.surroundings.mounts import mount_of, read_mounts

ROOT = Path(__file__).parents[2]


def facts(folder: Path) -> dict[str, str]:
    """Return what figures depend on; `folder` is on the disk that is measured."""
    return {
        "CPU": f"{_cpu()}, {os.cpu_count()} cores",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "file system": file_system(folder),
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "commit": _commit(),
    }


def file_system(folder: Path) -> str:
    """Return the type of the folder's file system."""
    mount = mount_of(folder.resolve(), read_mounts())
    return mount.kind if mount else "unknown"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
