"""A file system in user space that passes everything on, as network mounts of that kind do.

Run with two folders: what is in the first is seen in the second. A third argument names a program as whose it is
mounted; without it, no memory is shared.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

try:
    import mfusepy
except (ImportError, OSError):  # OSError: the library that it speaks to is missing
    mfusepy = None

STAT = ("st_mode", "st_nlink", "st_uid", "st_gid", "st_size")
SPACE = ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_frsize", "f_files", "f_ffree", "f_namemax")


def without_shared_memory(folder: Path) -> AbstractContextManager[Path]:
    """Mount one whose files cannot be mapped; the test is skipped where that is not possible."""
    return _mounted(folder)


def network_mount(folder: Path, program: str = "sshfs") -> AbstractContextManager[Path]:
    """Mount one as a network file system is, whose files can be mapped: by each machine that mounts it for itself."""
    return _mounted(folder, program)


@contextmanager
def _mounted(folder: Path, *program: str) -> Iterator[Path]:
    behind, seen = folder / "behind", folder / "seen"
    for place in (behind, seen):
        place.mkdir(parents=True)
    command = [sys.executable, __file__, str(behind), str(seen), *program]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        try:
            if server.stdout.readline() != b"mounted\n":
                pytest.skip("no FUSE here (pip install mfusepy; Debian and Ubuntu: apt-get install fuse3)")
            yield seen
        finally:
            subprocess.run(["umount", "--lazy", str(seen)], check=False, capture_output=True)
            server.terminate()


class Passthrough(mfusepy.Operations if mfusepy else object):
    use_ns = True

    def __init__(self, behind: str) -> None:
        self.behind = behind

    def _at(self, path: str) -> Path:
        return Path(self.behind + path)

    def init(self, path):
        print("mounted", flush=True)

    def getattr(self, path, fh=None):
        found = self._at(path).lstat()
        times = {f"st_{name}time": getattr(found, f"st_{name}time_ns") for name in "amc"}
        return {name: getattr(found, name) for name in STAT} | times

    def utimens(self, path, times=None):
        os.utime(self._at(path), ns=times)

    def readdir(self, path, fh):
        return [".", "..", *(entry.name for entry in self._at(path).iterdir())]

    def mkdir(self, path, mode):
        self._at(path).mkdir(mode)

    def rmdir(self, path):
        self._at(path).rmdir()

    def unlink(self, path):
        self._at(path).unlink()

    def rename(self, old, new):
        self._at(old).rename(self._at(new))

    def chmod(self, path, mode):
        self._at(path).chmod(mode)

    def create(self, path, mode, fi=None):
        return os.open(self._at(path), os.O_RDWR | os.O_CREAT, mode)

    def open(self, path, flags):
        return os.open(self._at(path), os.O_RDWR)

    def read(self, path, size, offset, fh):
        return os.pread(fh, size, offset)

    def write(self, path, data, offset, fh):
        return os.pwrite(fh, data, offset)

    def truncate(self, path, length, fh=None):
        os.truncate(self._at(path), length)

    def fsync(self, path, datasync, fh):
        os.fsync(fh)

    def fsyncdir(self, path, datasync, fh):
        return 0

    def release(self, path, fh):
        os.close(fh)

    def statfs(self, path):
        found = os.statvfs(self._at(path))
        return {name: getattr(found, name) for name in SPACE}


if __name__ == "__main__":
    behind, seen, *program = sys.argv[1:]
    # direct_io: the kernel keeps no pages of these files, so there are none to share.
    options = {"subtype": program[0]} if program else {"direct_io": True}
    mfusepy.FUSE(Passthrough(behind), seen, foreground=True, nothreads=True, **options)
