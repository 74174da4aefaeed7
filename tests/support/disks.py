"""Disks with faults, by mounting; a test that needs one is skipped where mounting is not allowed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size: str = "256k") -> Iterator[Path]:
    """Mount an empty disk of this size at `folder`, for this user alone."""
    with _mounted(["-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs"], folder):
        yield folder


@contextmanager
def reflink_disk(folder: Path) -> Iterator[Path]:
    """Mount a disk at `folder` whose file system copies by reference."""
    image = folder.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(300 << 20)
    _run(["mkfs.xfs", "-q", "-m", "reflink=1", str(image)])
    with _mounted(["-o", "loop", str(image)], folder):
        yield folder


def make_read_only(folder: Path) -> None:
    """Let a mounted disk refuse to be written, for everybody."""
    _run(["mount", "-o", "remount,ro", str(folder)])


def make_writable(folder: Path) -> None:
    """Let it be written again."""
    _run(["mount", "-o", "remount,rw", str(folder)])


def fill(folder: Path) -> Path:
    """Leave no space on a disk; return the file that takes it."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue
    return ballast


@contextmanager
def _mounted(arguments: Sequence[str], folder: Path) -> Iterator[None]:
    folder.mkdir(exist_ok=True)
    _run(["mount", *arguments, str(folder)])
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _run(command: Sequence[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", b"").decode().strip() or error
        pytest.skip(f"{command[0]} is not to be had here: {reason}")
