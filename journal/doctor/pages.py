"""Reading rows directly from the pages of a database file, where its B-trees are damaged.

SQL reaches a row through the schema and the inner pages of its table's B-tree; one damaged page among those hides all
rows below it. The rows themselves are in leaf pages, and each of these can be read on its own, but for overflow pages.
The format is stable and documented: https://sqlite.org/fileformat2.html.

A freed leaf page keeps its bytes, so deleted rows and earlier versions of rows may be found, too.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

_TABLE_LEAF = 13
_FILE_HEADER = 100
_USUAL_PAGE_SIZE = 4096
_INTEGER_SIZES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_CONSTANTS = {0: None, 8: 0, 9: 1}


def leaf_rows(database: Path) -> Iterator[tuple[int, list[Any]]]:
    """Yield (row id, values) of every cell of a table's leaf page that can be decoded, whatever its table.

    Args:
        database: The file; what its write-ahead log holds must have been folded in.
    """
    with database.open("rb") as file:
        yield from _Pages(file).rows()


class _Pages:
    """A database file as its pages, numbered from 1."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = _page_size(file.read(_FILE_HEADER))
        self._count = file.seek(0, os.SEEK_END) // self._size

    def rows(self) -> Iterator[tuple[int, list[Any]]]:
        for number in range(1, self._count + 1):
            page, start = self._page(number), _FILE_HEADER if number == 1 else 0
            if page[start] == _TABLE_LEAF:
                for cell in _cell_pointers(page, start):
                    try:
                        yield self._row(page, cell)
                    except (IndexError, KeyError, struct.error, UnicodeDecodeError):
                        continue  # this cell is damaged; each stands for itself

    def _page(self, number: int) -> bytes:
        if not 1 <= number <= self._count:
            raise IndexError(f"there is no page {number}")
        self._file.seek((number - 1) * self._size)
        return self._file.read(self._size)

    def _row(self, page: bytes, cell: int) -> tuple[int, list[Any]]:
        length, at = _varint(page, cell)
        rowid, at = _varint(page, at)
        here = _local_length(length, self._size)
        payload = page[at : at + here]
        if here < length:
            payload += self._overflow(int.from_bytes(page[at + here : at + here + 4], "big"), length - here)
        return _signed(rowid), _values(payload)

    def _overflow(self, number: int, missing: int) -> bytes:
        """Return what of a payload lies in a chain of overflow pages."""
        if missing > self._count * self._size:
            raise IndexError("the payload is longer than the file")
        parts = []
        while missing > 0:
            page = self._page(number)
            parts.append(page[4 : 4 + missing])
            missing -= len(parts[-1])
            number = int.from_bytes(page[:4], "big")
        return b"".join(parts)


def _page_size(data: bytes) -> int:
    """Return the page size that the header gives, or the usual one when that cannot be."""
    size = int.from_bytes(data[16:18], "big")
    return size if size >= 512 and size & (size - 1) == 0 else _USUAL_PAGE_SIZE


def _cell_pointers(page: bytes, start: int) -> tuple[int, ...]:
    count = int.from_bytes(page[start + 3 : start + 5], "big")
    count = min(count, (len(page) - start - 8) // 2)
    return struct.unpack_from(f">{count}H", page, start + 8)


def _local_length(length: int, page_size: int) -> int:
    """Return how much of a payload lies in the leaf itself ("B-tree Cell Format" in the documentation)."""
    most, least = page_size - 35, (page_size - 12) * 32 // 255 - 23
    if length <= most:
        return length
    fitting = least + (length - least) % (page_size - 4)
    return fitting if fitting <= most else least


def _values(payload: bytes) -> list[Any]:
    """Decode a record: the serial types of its columns, then their values."""
    end, at = _varint(payload, 0)
    kinds, offset, values = [], end, []
    while at < end:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    for kind in kinds:
        size = _INTEGER_SIZES.get(kind, 8 if kind == 7 else max(0, kind - 12) // 2)
        if offset + size > len(payload):
            raise IndexError("the record ends before its last value")
        values.append(_value(kind, payload[offset : offset + size]))
        offset += size
    return values


def _value(kind: int, data: bytes) -> Any:
    if kind in _INTEGER_SIZES:
        return int.from_bytes(data, "big", signed=True)
    if kind == 7:
        return struct.unpack(">d", data)[0]
    if kind >= 12:
        return data.decode() if kind % 2 else data
    return _CONSTANTS[kind]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at this place and the place behind it."""
    value = 0
    for byte in data[at : at + 8]:
        at += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at
    return value << 8 | data[at], at + 1


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value
