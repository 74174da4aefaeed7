"""What is mounted where, and which kinds of file systems lie behind it.

Linux tells it in `/proc/self/mountinfo` (https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html); elsewhere
psutil does.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

_TABLE = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(rb"\\([0-7]{3})")
_NETWORK = (
    "afp",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "davfs",
    "fhgfs",
    "gpfs",
    "lustre",
    "nfs",
    "panfs",
    "pvfs",
    "smb",
    "webdav",
    "wekafs",
)
"""How the types of network file systems begin, in the kernel (nfs, nfs4) and as FUSE's subtypes (fuse.cephfs)."""
_NETWORK_FUSE = ("glusterfs", "juicefs", "sshfs")
_OBJECT_STORES = ("blobfuse", "gcsfuse", "geesefs", "goofys", "mountpoint-s3", "rclone", "s3fs")
_HOST = ("9p", "virtiofs", "vboxsf", "prl_fs", "vmhgfs")
_LAYERS = ("overlay", "aufs", "unionfs", "fuse.fuse-overlayfs")
_EMPTY_DIR = (
    "kubernetes.io~empty-dir"  # in the host's path: https://kubernetes.io/docs/concepts/storage/volumes/#emptydir
)


class Nature(Enum):
    """What lies behind a mount."""

    DISK = "disk"
    MEMORY = "memory"
    NETWORK = "network"
    DRIVE = "drive"
    """Google Drive. Colab itself knows its mount by this type (flush_and_unmount in google/colab/drive.py of
    https://github.com/googlecolab/colabtools)."""
    OBJECTS = "objects"
    """An object store that looks like folders, and takes a file as a whole."""
    HOST = "host"
    """A folder of the machine that this virtual one runs on."""
    USER_SPACE = "user space"
    """Some program, and only that knows where the bytes are."""
    LAYER = "layer"
    """What a container writes that is in none of its volumes."""
    POD = "pod"


@dataclass(frozen=True)
class Mount:
    """A mounted file system.

    Attributes:
        point: Where it is mounted.
        kind: Its type: `ext4`, `nfs4`, `fuse.gcsfuse`.
        source: The device, server or program behind it.
        root: Which folder of the file system is seen there.
        is_read_only: Whether nobody can write to it.
    """

    point: Path
    kind: str
    source: str = ""
    root: str = "/"
    is_read_only: bool = False

    @property
    def nature(self) -> Nature:
        """What lies behind it."""
        if _EMPTY_DIR in self.root:
            return Nature.POD
        subtype = self.kind.removeprefix("fuse.")
        if subtype == "drive":
            return Nature.DRIVE
        program = self.source if self.kind == "fuse" else subtype
        if program.lower().startswith(_OBJECT_STORES):
            return Nature.OBJECTS
        if subtype.startswith(_NETWORK) or program.lower().startswith(_NETWORK_FUSE):
            return Nature.NETWORK
        return self._local()

    def _local(self) -> Nature:
        if self.kind in {"tmpfs", "ramfs", "devtmpfs"}:
            return Nature.MEMORY
        if self.kind in _LAYERS:
            return Nature.LAYER
        if self.kind in _HOST:
            # A sandbox's own disk comes in this way, too.
            return Nature.HOST if self.point != Path("/") else Nature.DISK
        return Nature.USER_SPACE if self._is_fuse else Nature.DISK

    @property
    def _is_fuse(self) -> bool:
        return self.kind.startswith(("fuse", "macfuse", "osxfuse")) and self.kind != "fuseblk"  # a disk's driver

    @property
    def is_of_others(self) -> bool:
        """Whether other machines see the same files."""
        return self.nature in {Nature.NETWORK, Nature.DRIVE, Nature.OBJECTS}

    @property
    def is_remote(self) -> bool:
        """Whether other machines, or a program, may be behind it, so that memory may not be shared through it."""
        return self.is_of_others or self.nature in {Nature.HOST, Nature.USER_SPACE}

    @property
    def sends_later(self) -> bool:
        """Whether a program takes what is written, and may send it some time after it has answered."""
        return self._is_fuse


def read_mounts() -> tuple[Mount, ...]:
    """Return what is mounted, in the order in which it was; nothing where that cannot be told."""
    try:
        return tuple(parse_mounts(_TABLE.read_bytes()) if sys.platform == "linux" else _elsewhere())
    except (ImportError, OSError):  # also that no more files can be opened, in a training that will go on
        return ()


def parse_mounts(table: bytes) -> Iterator[Mount]:
    """Yield the mounts of a `mountinfo` table; lines that are not understood are left out."""
    for line in table.splitlines():
        before, dash, after = line.partition(b" - ")
        fields, behind = before.split(b" "), after.split(b" ")
        if not dash or len(fields) < 6 or len(behind) < 2:
            continue
        root, point, options = (_text(field) for field in fields[3:6])
        of_the_whole = behind[2].decode() if len(behind) > 2 else ""
        is_read_only = "ro" in {*options.split(","), *of_the_whole.split(",")}
        yield Mount(Path(point), _text(behind[0]), _text(behind[1]), root, is_read_only)


def mount_of(folder: Path, mounts: Iterable[Mount]) -> Mount | None:
    """Return the mount that holds a folder; of several on one point, the last hides the others.

    Args:
        folder: Its path, with links resolved.
        mounts: All of them, in order.
    """
    found: Mount | None = None
    for mount in mounts:
        is_above = mount.point == folder or mount.point in folder.parents
        if is_above and (found is None or len(mount.point.parts) >= len(found.point.parts)):
            found = mount
    return found


def _text(field: bytes) -> str:
    plain = _ESCAPED.sub(lambda found: bytes([int(found[1], 8)]), field)
    return plain.decode("utf-8", "surrogateescape")


def _elsewhere() -> Iterator[Mount]:
    import psutil  # only on a system without the table: it takes long to import

    for part in psutil.disk_partitions(all=True):
        yield Mount(Path(part.mountpoint), part.fstype, part.device, is_read_only="ro" in part.opts.split(","))
