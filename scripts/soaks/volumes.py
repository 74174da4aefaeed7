"""File systems whose power can be cut: loop mounts, which need root on Linux."""

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
    """A file system in a file, mounted by `mount`, whose power can be cut.

    Attributes:
        root: Where it is mounted.
    """

    def __init__(self, device: str, root: Path) -> None:
        """Use a formatted block device and an empty folder."""
        self._device = device
        self.root = root

    def mount(self) -> None:
        """Mount it, which replays the file system's own log."""
        _run("mount", self._device, str(self.root))

    def unmount(self) -> None:
        """Unmount it; no file on it may be open."""
        _run("umount", str(self.root))

    def abort(self) -> None:
        """Make ext4 read-only under its writers, as it does when its disk fails."""
        _run("mount", "-o", "remount,abort", str(self.root))

    def cut_power(self) -> None:
        """Stop all writes at once; everything that was not synced is lost."""
        import fcntl

        descriptor = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, _WITHOUT_LOG_FLUSH)
        finally:
            os.close(descriptor)


@contextmanager
def loop_volume(file_system: str) -> Iterator[LoopVolume]:
    """Create a file system (`ext4` or `xfs`), not mounted yet; everything is removed at the end.

    Raises:
        OSError: It cannot be created here; see `why_no_volume`.
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
            with suppress(OSError):  # it is still mounted only if the caller failed
                _run("umount", "--lazy", str(root))
            _run("losetup", "--detach", device)


def why_no_volume(file_system: str) -> str | None:
    """Return the reason why such a file system (`ext4`, `xfs`) cannot be mounted here, or None."""
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
        OSError: It failed; the message is its standard error.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(errno.EIO, f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
