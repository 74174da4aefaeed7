"""The bytes of checkpoints in a mirror: small files as they are, others in parts, which a list makes one again.

The list is written last, so a checkpoint is there once its list is; an upload that was interrupted leaves parts, and
the next one sends only the others.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from journal.checkpoints import blobs
from journal.disk import begin_write_back
from journal.errors import DamagedMirror, MirrorUnavailable, from_os
from journal.mirror import parts
from journal.mirror.layout import blob_name, list_name, part_name, parts_of
from journal.mirror.parts import PartList
from journal.mirror.stores import Source, Store

_WRITTEN_BACK = 4 << 20


def put(store: Store, file: BinaryIO, sha256: str, between: Callable[[], object]) -> None:
    """Store a checkpoint, unless it is there; of one that is there in part, only the rest.

    Args:
        store: The mirror.
        file: Open for reading; it may have been deleted since.
        sha256: Of its content.
        between: Called now and then, as this may take long.

    Raises:
        MirrorUnavailable: It cannot be stored now.
    """
    size = os.fstat(file.fileno()).st_size
    if size < parts.WHOLE_BELOW:
        store.put_file(blob_name(sha256), file, sha256, between)
        return
    there = {found.name: found.size for found in store.list(parts_of(sha256))}
    whole, digests = hashlib.sha256(), []
    for number, piece in enumerate(iter(partial(file.read, parts.part_size(size)), b"")):
        whole.update(piece)
        stored = parts.encode(piece)
        digests.append(parts.digest(stored))
        name = part_name(sha256, number, digests[-1])
        if there.get(name) != len(stored):
            store.put_part(name, stored)
        between()
    if whole.hexdigest() != sha256:
        raise MirrorUnavailable(f"a checkpoint changed while it was copied to the mirror {store.address}")
    listed = PartList(size, parts.part_size(size), parts.coding(), digests)
    store.put(list_name(sha256), listed.to_bytes())


def fetch(store: Source, sha256: str, target: Path) -> str | None:
    """Write a checkpoint into a new file, durably; return the sha256 of what it is, or None when it is not there.

    Only the whole is hashed, once, while it is written. Its parts have digests of their own, which tell the one that is
    damaged where the whole turns out to be: they are looked at then.

    Args:
        store: The mirror.
        sha256: Of the checkpoint.
        target: The file. The caller deletes it if the checkpoint is something else, or an error is raised.

    Raises:
        DamagedMirror: A part of it is missing or damaged.
        LibraryMissing: It is compressed, and the library for that is not there.
        MirrorUnavailable: It cannot be read now.
        JournalError: The file cannot be written.
    """
    if store.get_file(blob_name(sha256), target):
        return blobs.digest(target) or ""
    content = store.get(list_name(sha256))
    if content is None:
        return None
    listed = PartList.from_bytes(list_name(sha256), content)
    pieces = _pieces(listed, _parts(store, sha256, listed))
    try:
        found = _write(target, pieces)
    except ValueError:
        found = ""
    if found != sha256:
        for _ in read(store, sha256, content):
            pass
    return found


def _write(target: Path, pieces: Iterator[bytes | bytearray]) -> str:
    """Write a new file, durably; return its sha256.

    Raises:
        JournalError: It cannot be written.
    """
    try:
        return _written(target, pieces)
    except OSError as error:
        raise from_os(error, target) from error


def _written(target: Path, pieces: Iterator[bytes | bytearray]) -> str:
    whole, size, begun = hashlib.sha256(), 0, 0
    descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        for piece in pieces:
            blobs.write_all(descriptor, piece)
            whole.update(piece)
            size += len(piece)
            if size - begun >= _WRITTEN_BACK:
                begin_write_back(descriptor, begun, size - begun)
                begun = size
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return whole.hexdigest()


def read(store: Source, sha256: str, content: bytes) -> Iterator[bytes | bytearray]:
    """Yield a checkpoint piece by piece, each checked against the list.

    Args:
        store: The mirror.
        sha256: Of the checkpoint.
        content: Of its list.

    Raises:
        DamagedMirror: Its list, or a part of it, is damaged or missing.
        LibraryMissing: It is compressed, and the library for that is not there.
    """
    listed = PartList.from_bytes(list_name(sha256), content)
    try:
        yield from _pieces(listed, stored_parts(store, sha256, listed))
    except ValueError as error:
        raise DamagedMirror(f"{list_name(sha256)} is damaged: a part of it cannot be read ({error})") from error


def _pieces(listed: PartList, stored: Iterable[bytes]) -> Iterator[bytes | bytearray]:
    """Yield a checkpoint piece by piece.

    Raises:
        ValueError: A part cannot be decoded.
        LibraryMissing: It is compressed, and the library for that is not there.
    """
    decode = parts.decoder(listed.coding)
    for part, length in zip(stored, listed.lengths(), strict=True):
        piece = decode(part, length)
        if len(piece) != length:
            raise ValueError("it has another length")
        yield piece


def stored_parts(store: Source, sha256: str, listed: PartList) -> Iterator[bytes]:
    """Yield the parts of a checkpoint as they are stored, each checked.

    Raises:
        DamagedMirror: One is damaged or missing.
    """
    for number, stored in enumerate(_parts(store, sha256, listed)):
        if parts.digest(stored) != listed.digests[number]:
            name = part_name(sha256, number, listed.digests[number])
            raise DamagedMirror(f"{name} is damaged: its content is not what its name says")
        yield stored


def _parts(store: Source, sha256: str, listed: PartList) -> Iterator[bytes]:
    """Yield the parts of a checkpoint as they are stored.

    Raises:
        DamagedMirror: One is missing.
    """
    for number, digest in enumerate(listed.digests):
        name = part_name(sha256, number, digest)
        stored = store.get(name)
        if stored is None:
            raise DamagedMirror(f"{name}, a part of a checkpoint, is missing")
        yield stored


def delete(store: Store, sha256: str) -> None:
    """Delete a checkpoint, its list first: without that, it is not there."""
    store.delete(list_name(sha256))
    store.delete(blob_name(sha256))
    for found in list(store.list(parts_of(sha256))):
        store.delete(found.name)
