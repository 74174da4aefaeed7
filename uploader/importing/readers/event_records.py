"""The records of a TensorBoard event file: length, checksum of it, bytes, checksum of them (TFRecord)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO

_LENGTH = struct.Struct("<QI")
_CHECKSUM = struct.Struct("<I")
BODY = _LENGTH.size
"""So many bytes of a record stand before its body."""

Checksum = Callable[[bytes], int]
Damage = Callable[[int, str], None]
"""Told at which byte a record cannot be read, and why."""


def event_records(file: BinaryIO, checksum: Checksum, damaged: Damage) -> Iterator[tuple[int, bytes]]:
    """Yield each record that is whole, and the byte where it begins.

    One whose bytes are wrong is passed over; after a wrong length nothing more can be found. TensorBoard's reader ends
    at both.

    Args:
        file: Open for reading, at its begin.
        checksum: The masked CRC-32C of bytes.
        damaged: Told of what cannot be read.
    """
    at = 0
    while begin := file.read(_LENGTH.size):
        if len(begin) < _LENGTH.size:
            damaged(at, "the file ends in it")
            return
        length, wanted = _LENGTH.unpack(begin)
        if checksum(begin[:8]) != wanted:
            damaged(at, "the checksum of its length is wrong, nothing behind it can be found")
            return
        body, end = file.read(length), file.read(_CHECKSUM.size)
        if len(body) < length or len(end) < _CHECKSUM.size:
            damaged(at, "the file ends in it")
            return
        if checksum(body) == _CHECKSUM.unpack(end)[0]:
            yield at, body
        else:
            damaged(at, "its checksum is wrong")
        at += _LENGTH.size + length + _CHECKSUM.size
