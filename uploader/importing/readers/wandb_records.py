"""The records of a `run-*.wandb` file: LevelDB's log format, with a checksum for each piece of a record.

wandb's own reader in Python has left the library; what reads the files now is a program in Go that only syncs them.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

from uploader.importing.reader import UnreadableRun

_BEGIN = struct.pack("<4sHB", b":W&B", 0xBEE1, 0)
_PIECE = struct.Struct("<IHB")  # checksum of kind and body, length, kind
_BLOCK = 32768
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_CHECKSUMS = {kind: zlib.crc32(bytes([kind])) for kind in (_WHOLE, _FIRST, _MIDDLE, _LAST)}

Damage = Callable[[int, str], None]
"""Told at which byte a record cannot be read, and why."""


def wandb_records(file: BinaryIO, damaged: Damage) -> Iterator[tuple[int, bytes]]:
    """Yield each record that is whole, and the byte where it begins; behind a damaged one from the next block on.

    Args:
        file: Open for reading, at its begin.
        damaged: Told of what cannot be read.

    Raises:
        UnreadableRun: It is no file of wandb's.
    """
    pending: tuple[int, bytes] | None = None
    for at, kind, body in _pieces(file, damaged):
        if pending is not None and kind not in (_MIDDLE, _LAST):
            if kind:
                damaged(pending[0], "its end is missing")
            pending = None
        if kind == _WHOLE:
            yield at, body
        elif kind == _FIRST:
            pending = at, body
        elif pending is not None:
            pending = pending[0], pending[1] + body
            if kind == _LAST:
                yield pending
                pending = None
    if pending is not None:
        damaged(pending[0], "its end is missing")


def _pieces(file: BinaryIO, damaged: Damage) -> Iterator[tuple[int, int, bytes]]:
    """Yield byte, kind and body of each piece; kind 0 stands for what was damaged, and told."""
    begin = 0
    while block := file.read(_BLOCK):
        at = 0
        if begin == 0:
            _check_begin(block)
            at = len(_BEGIN)
        while len(block) - at >= _PIECE.size:
            checksum, length, kind = _PIECE.unpack_from(block, at)
            body = block[at + _PIECE.size : at + _PIECE.size + length]
            why = _damage(checksum, length, kind, body)
            if why:
                damaged(begin + at, why)
                yield begin + at, 0, b""
                at = len(block)
                break
            yield begin + at, kind, body
            at += _PIECE.size + length
        if block[at:].strip(b"\0") and len(block) < _BLOCK:
            damaged(begin + at, "the file ends in it")
            yield begin + at, 0, b""
        begin += len(block)


def _damage(checksum: int, length: int, kind: int, body: bytes) -> str:
    if len(body) < length:
        return "the file ends in it"
    if kind not in _CHECKSUMS or zlib.crc32(body, _CHECKSUMS[kind]) != checksum:
        return "its checksum is wrong"
    return ""


def _check_begin(block: bytes) -> None:
    if not block.startswith(_BEGIN):
        raise UnreadableRun("it does not begin as a file of wandb's does")
