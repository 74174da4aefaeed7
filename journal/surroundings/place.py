"""Which machine this is, and what becomes of a folder's files here: decided from facts, which one function looks up."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from journal.surroundings.machines import CONTAINER, LENT, ORDINARY, Keeping, Machine, Outlasts
from journal.surroundings.mounts import Mount, Nature, mount_of, read_mounts

_BY_NATURE = {
    Nature.NETWORK: (Outlasts.MACHINE, "a network file system ({kind})"),
    Nature.OBJECTS: (Outlasts.MACHINE, "an object store ({kind}), which takes a file when it was closed"),
    Nature.DRIVE: (Outlasts.MACHINE, "Google Drive, which sends a file some time after it was closed"),
    Nature.MEMORY: (Outlasts.PROCESS, "memory ({kind}), which is empty after a restart"),
    Nature.POD: (Outlasts.PROCESS, "an emptyDir volume, which is deleted with its pod"),
}
_LOCALLY = {
    Nature.LAYER: (Outlasts.PROCESS, "the container's writable layer, which is deleted with the container"),
    Nature.HOST: (Outlasts.SESSION, "a folder of the machine's host ({kind})"),
    Nature.USER_SPACE: (Outlasts.SESSION, "a file system in user space ({kind}); what it outlasts is not known here"),
}
_MACS_CLOUDS = frozenset({"CloudStorage", "Google Drive", "Dropbox", "OneDrive"})


@dataclass(frozen=True)
class Place:
    """A folder, and what becomes of its files.

    Attributes:
        folder: The folder, with its links resolved.
        outlasts: What its files outlast.
        why: A clause that says what it is.
        file_system: The type of its file system, empty if unknown.
        is_read_only: Whether its disk cannot be written.
        suits_journal: Whether a database may be written there; copies of files may be where it may not.
        sends_later: Whether what is written there is kept only some time later, if at all.
    """

    folder: Path
    outlasts: Outlasts
    why: str
    file_system: str = ""
    is_read_only: bool = False
    suits_journal: bool = True
    sends_later: bool = False


@dataclass(frozen=True)
class Facts:
    """What decides.

    Attributes:
        environ: The environment.
        mounts: What is mounted, in order.
        existing: Which of the paths exist that machines are recognised by, or keep.
        temporary: The system's temporary folder; empty if there is none.
        home: The user's home; empty if nobody knows one.
    """

    environ: Mapping[str, str]
    mounts: tuple[Mount, ...]
    existing: frozenset[str]
    temporary: str
    home: str = ""


def look_up(environ: Mapping[str, str]) -> Facts:
    """Return the facts of this machine."""
    asked = {
        path for machine in (*LENT, CONTAINER) for path in (*machine.marks, *(one.folder for one in machine.folders))
    }
    there = frozenset(path for path in asked if os.path.lexists(path))
    home = os.path.expanduser("~")  # noqa: PTH111 - leaves the ~ where nobody knows a home, and does not fail
    return Facts(environ, read_mounts(), there, _temporary(), home.lstrip("~"))


def _temporary() -> str:
    try:
        return os.path.realpath(tempfile.gettempdir())
    except OSError:  # none can be written, or no more files can be opened, in a training that will go on
        return ""


class Surroundings:
    """A machine and its places.

    Attributes:
        machine: Which kind it is.
        signs: By which variables and files it was recognised.
    """

    def __init__(self, facts: Facts) -> None:
        """Recognise the machine.

        Args:
            facts: What decides.
        """
        self._facts = facts
        self.machine = _recognised(facts)
        self.signs = _signs(self.machine, facts)

    def place(self, folder: Path) -> Place:
        """Return what becomes of a folder's files; it need not exist."""
        real = Path(os.path.realpath(folder))
        mount = mount_of(real, self._facts.mounts) or Mount(Path("/"), "")
        row = _row_for(real, self._rows())
        is_inner = row is None or len(mount.point.parts) > len(Path(row.folder).parts)
        if mount.nature in _BY_NATURE and is_inner:
            row, (outlasts, why) = None, _BY_NATURE[mount.nature]
        elif row := row or self.machine.disk:
            outlasts, why = row.outlasts, row.why
        else:
            outlasts, why = _LOCALLY.get(mount.nature) or self._of_a_disk()
        is_copied = bool(row and row.is_copied)
        suits = not is_copied and mount.nature not in {Nature.DRIVE, Nature.OBJECTS}
        later = mount.sends_later or bool(row and (row.is_copied or row.if_saved)) or _is_a_macs_cloud(real)
        return Place(real, outlasts, why.format(kind=mount.kind), mount.kind, mount.is_read_only, suits, later)

    def known(self) -> list[Place]:
        """Return the places here that are known and can be written, those that outlast most first."""
        drives = [_own_files(mount.point) for mount in self._facts.mounts if mount.nature is Nature.DRIVE]
        rows = [Path(row.folder) for row in self.machine.folders if row.folder in self._facts.existing]
        home = [Path(self._facts.home)] if self._facts.home else []
        places = [self.place(folder) for folder in (*drives, *rows, *home)]
        return sorted((one for one in places if not one.is_read_only), key=lambda one: -one.outlasts)

    def _of_a_disk(self) -> tuple[Outlasts, str]:
        if self.machine is CONTAINER:
            return Outlasts.SESSION, "a folder that is mounted into the container"
        if self.machine.is_lent:
            return Outlasts.SESSION, "a disk of this node, which other nodes may not see"
        return Outlasts.SESSION, "a disk of this machine"

    def _rows(self) -> Iterator[Keeping]:
        """Yield what is known of folders; what the environment names comes first."""
        ends = self.machine.ends
        for name in self.machine.temporary:
            if folder := self._facts.environ.get(name):
                why = f"the folder of {name}, which is deleted at {ends}"
                yield Keeping(os.path.realpath(folder), Outlasts.PROCESS, why)
        for row in self.machine.folders:
            if not row.if_there or row.folder in self._facts.existing:
                yield row
        if self._facts.temporary and not self.machine.disk:
            yield Keeping(self._facts.temporary, Outlasts.PROCESS, "a temporary folder, which may be cleaned")


def _recognised(facts: Facts) -> Machine:
    lent = next((machine for machine in LENT if _signs(machine, facts)), None)
    root = mount_of(Path("/"), facts.mounts)
    # Other things than containers have Docker's mark, such as virtual machines that were made from an image.
    return lent or (CONTAINER if root and root.nature is Nature.LAYER else ORDINARY)


def _signs(machine: Machine, facts: Facts) -> list[str]:
    return [
        *(sign for sign in machine.signs if sign in facts.environ),
        *(mark for mark in machine.marks if mark in facts.existing),
    ]


def _is_a_macs_cloud(folder: Path) -> bool:
    """Return whether a cloud's own program copies a folder of macOS, which is an ordinary one."""
    return sys.platform == "darwin" and not _MACS_CLOUDS.isdisjoint(folder.parts)


def _row_for(folder: Path, rows: Iterator[Keeping]) -> Keeping | None:
    """Return the row of the innermost folder that holds this one; of two for one folder the first."""
    above = [row for row in rows if folder.is_relative_to(row.folder)]
    return max(above, key=lambda row: len(Path(row.folder).parts), default=None)


def _own_files(drive: Path) -> Path:
    """Return the folder of a Drive mount that people may write to; beside it are those that they share."""
    return drive / "MyDrive"
