"""File systems whose power can be cut: loop mounts, for root on Linux."""

from __future__ import annotations

import errno
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from soaks.places import scratch

# EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN are one number; the flag says not to write the log out first.
_SHUTDOWN = 0x8004587D
_WITHOUT_LOG_FLUSH = struct.pack("I", 2)
# mkfs.xfs refuses less than 300 MB, and the journal makes no room in its log where little space is left. Sparse.
_IMAGE_BYTES = 512 << 20


class LoopVolume:
    """A file system in a file, mounted by `mount`, that can lose its power.

    Attributes:
        root: Where it is mounted.
    """

    def __init__(self, device: str, root: Path) -> None:
        """Take a formatted block device and an empty folder."""
        self._device = device
        self.root = root

    def mount(self) -> None:
        """Mount it, which recovers the file system's own log."""
        _run("mount", self._device, str(self.root))

    def unmount(self) -> None:
        """Unmount it; nothing may be open on it."""
        _run("umount", str(self.root))

    def abort(self) -> None:
        """Have ext4 do what it does when its disk fails: it becomes read-only under those who write."""
        _run("mount", "-o", "remount,abort", str(self.root))

    def cut_power(self) -> None:
        """Stop all writing at once: what was not forced to the device is gone."""
        import fcntl

        descriptor = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, _WITHOUT_LOG_FLUSH)
        finally:
            os.close(descriptor)


@contextmanager
def loop_volume(file_system: str) -> Iterator[LoopVolume]:
    """Make a file system (`ext4` or `xfs`), not mounted yet; everything is removed at the end.

    Raises:
        OSError: It cannot be made here; see `why_no_volume`.
    """
    with scratch() as folder:
        image, root = folder / "image", folder / "root"
        root.mkdir()
        with image.open("wb") as file:
            file.truncate(_IMAGE_BYTES)
        _run(f"mkfs.{file_system}", "-q", str(image))
        device = _run("losetup", "--find", "--show", str(image)).strip()
        try:
            yield LoopVolume(device, root)
        finally:
            with suppress(OSError):  # it is mounted only when the caller failed
                _run("umount", "--lazy", str(root))
            _run("losetup", "--detach", device)


def why_no_volume(file_system: str) -> str | None:
    """Return why such a file system (`ext4`, `xfs`) cannot be mounted here, or None when it can."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "only root on Linux may mount"
    if shutil.which(f"mkfs.{file_system}") is None:
        return f"mkfs.{file_system} is not installed (Debian and Ubuntu: apt-get install {_PACKAGES[file_system]})"
    try:
        with loop_volume(file_system) as volume:
            volume.mount()
            volume.unmount()
        return None
    except OSError as error:
        return f"{file_system} cannot be mounted here: {error}"


_PACKAGES = {"ext4": "e2fsprogs", "xfs": "xfsprogs"}


def _run(*command: str) -> str:
    """Run a system command.

    Raises:
        OSError: It failed, with what it said.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(errno.EIO, f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
