"""The file of a pack: a zip archive, which any system can open, of objects that are named by what they contain.

It is written under a temporary name, flushed and renamed, so a pack is whole or not there. It is checked whole before
anything of it is used: one that was torn on the way, or altered, is refused with the reason, and nothing of it is taken
in. Its last entry lists all others, as a zip archive does not tell whether one was taken out.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import text

from journal.clock import now_text
from journal.disk import replacing
from journal.errors import DamagedMirror, DamagedPack, from_os
from journal.folder import Journal
from journal.mirror.layout import ResultsName, SegmentName, parse_blob
from journal.mirror.restoring import Restored
from journal.mirror.segment_reading import read_results, read_segment
from journal.mirror.stores import Listed
from journal.packs import unpacking
from journal.packs.contents import CHUNK, Contents, write_durably
from journal.reading.places import PACK_NOTE
from journal.sessions.origin import PLACE, UNPACKED

FORMAT = 1
LIST = "contents.json"
_LARGEST_OBJECT = 1 << 30
"""Of those that are read at once, which are small; a checkpoint is read in pieces."""
# What reading an archive that is none, or was torn, raises.
_TORN = (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, KeyError, TypeError)


def write(contents: Contents, out: Path, journal_uuid: str | None, progress: Callable[[int], object]) -> None:
    """Write a pack; a file in its place is replaced, and of a link the file that it leads to.

    Args:
        contents: What it contains.
        out: The file.
        journal_uuid: Of the journal that it is of.
        progress: Called with the number of bytes that were added.

    Raises:
        JournalUnavailable: It cannot be written; what was there before still is.
    """
    try:
        with replacing(out) as file, zipfile.ZipFile(file, "w") as archive:
            _fill(archive, contents, journal_uuid, progress)
    except OSError as error:
        raise from_os(error, out) from error


def _fill(
    archive: zipfile.ZipFile, contents: Contents, journal_uuid: str | None, progress: Callable[[int], object]
) -> None:
    note = {
        "format": FORMAT,
        "what": "training runs that offline-uploader recorded, for a machine that can reach their platform",
        "use": "python -m uploader drain <this file>, or unpack <this file>",
        "journal": journal_uuid,
        "made_at": now_text(),
        "runs": contents.runs,
        "events": contents.events,
    }
    note_bytes = json.dumps(note, indent=2).encode()
    archive.writestr(PACK_NOTE, note_bytes)
    for name, content in contents.made.items():
        archive.writestr(name, content, zipfile.ZIP_STORED if name.endswith(".gz") else zipfile.ZIP_DEFLATED)
        progress(len(content))
    for name, (file, size) in contents.files.items():
        file.seek(0)
        entry = zipfile.ZipInfo(name)
        entry.file_size = size  # tells whether it is a large one
        with archive.open(entry, "w") as target:
            while chunk := file.read(CHUNK):
                target.write(chunk)
                progress(len(chunk))
    names = [*contents.made, *contents.files]
    listed = {"objects": names, "note": hashlib.sha256(note_bytes).hexdigest()}
    archive.writestr(LIST, json.dumps(listed), zipfile.ZIP_DEFLATED)


@dataclass
class Pack:
    """An open pack whose content was checked: a source to restore from (`journal.mirror.stores.Source`).

    Attributes:
        path: The file.
    """

    path: Path
    _archive: zipfile.ZipFile = field(kw_only=True)

    def get(self, name: str) -> bytes | None:
        """Return a small object; None when it is not there."""
        return _small(self._archive, name) if name in self._archive.NameToInfo else None

    def get_file(self, name: str, target: Path) -> bool:
        """Write a checkpoint into a new file; return False when it is not there."""
        if name not in self._archive.NameToInfo:
            return False
        with self._archive.open(name) as file:
            write_durably(target, iter(lambda: file.read(CHUNK), b""))
        return True

    def list(self, prefix: str = "") -> Iterator[Listed]:
        """Yield the objects whose names begin so."""
        return (
            Listed(one.filename, one.file_size) for one in self._archive.infolist() if one.filename.startswith(prefix)
        )

    def close(self) -> None:
        """Close the file."""
        self._archive.close()

    def __enter__(self) -> Pack:
        """Return the pack."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()


def open_pack(path: Path, progress: Callable[[int], object] = lambda _: None) -> Pack:
    """Open a pack and check all of it; the caller closes it.

    Args:
        path: The file.
        progress: Called with the number of bytes that were checked.

    Raises:
        DamagedPack: It is torn or was altered, or it is no pack.
        JournalUnavailable: It cannot be read.
    """
    try:
        archive = zipfile.ZipFile(path)
    except OSError as error:
        raise from_os(error, path, "read") from error
    except _TORN as error:
        raise _damaged(path, f"it ends too early ({error})") from error
    try:
        return _checked(path, archive, progress)
    except BaseException:
        archive.close()
        raise


def _checked(path: Path, archive: zipfile.ZipFile, progress: Callable[[int], object]) -> Pack:
    try:
        note, listed = (_small(archive, name) for name in (PACK_NOTE, LIST))
        described, contents = json.loads(note), json.loads(listed)
        if described["format"] != FORMAT:
            raise DamagedPack(
                f"{path} was written by a later version (format {described['format']}); update this machine"
            )
        if contents["note"] != hashlib.sha256(note).hexdigest():
            raise _damaged(path, f"{PACK_NOTE} was altered")
        _check_names(path, archive, contents["objects"])
        pack = Pack(path, _archive=archive)
        for name in contents["objects"]:
            _check_object(pack, name, progress)
    except OSError as error:
        raise from_os(error, path, "read") from error
    except DamagedMirror as error:
        raise _damaged(path, str(error)) from error
    except (*_TORN, AttributeError, RecursionError) as error:
        raise _damaged(path, f"{error}") from error
    return pack


def _check_names(path: Path, archive: zipfile.ZipFile, listed: list[str]) -> None:
    there = [one.filename for one in archive.infolist()]
    if sorted(there) != sorted([PACK_NOTE, *listed, LIST]):
        odd = sorted(set(there).symmetric_difference([PACK_NOTE, *listed, LIST])) or ["an object that is there twice"]
        raise _damaged(path, f"it does not contain what it says: {odd[0]}")


def _check_object(pack: Pack, name: str, progress: Callable[[int], object]) -> None:
    """Check that an object is what its name says.

    Raises:
        DamagedMirror: It is not.
    """
    if sha256 := parse_blob(name):
        if _digest(pack, name, progress) != sha256:
            raise DamagedMirror(f"{name} is not what its name says")
        return
    if segment := SegmentName.parse(name):
        read_segment(pack, segment)
    elif results := ResultsName.parse(name):
        read_results(pack, results)
    else:
        raise DamagedMirror(f"{name} is not an object of ours")
    progress(pack._archive.getinfo(name).compress_size)


def _small(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > _LARGEST_OBJECT:
        raise ValueError(f"{name} is too large")
    return archive.read(name)


def _digest(pack: Pack, name: str, progress: Callable[[int], object]) -> str:
    digest = hashlib.sha256()
    with pack._archive.open(name) as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            progress(len(chunk))
    return digest.hexdigest()


def _damaged(path: Path, why: str) -> DamagedPack:
    return DamagedPack(f"{path} is damaged: {why}. Nothing of it was taken in; copy it again, or pack once more")


_UNPACKED = text("UPDATE facts SET value = :unpacked WHERE name = :place").bindparams(place=PLACE, unpacked=UNPACKED)


def take_in(journal: Journal, pack: Pack) -> Restored:
    """Take the runs of a pack into a journal, which may have a part or all of it.

    Raises:
        JournalError: It cannot be read or written any more. What came in stays, and the next time does the rest.
    """
    restored = unpacking.take_in(journal, pack)
    if restored.events:
        with journal.begin() as connection:
            connection.execute(_UNPACKED)
    return restored
