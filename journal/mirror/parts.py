"""Checkpoints in parts: how a file is divided, how a part is compressed, and the list that tells it. Pure.

A file is divided into about 256 parts, so that an upload that was interrupted has little to send again. Weights are
floating-point numbers: their high bytes resemble each other, their low bytes are noise. So a part is divided into
planes, each with every second or fourth byte, and each plane is compressed by itself, or kept where that saves nothing.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from journal.errors import DamagedMirror, LibraryMissing

FORMAT = 1
PLANES = "planes, zstd"
"""How parts are coded where they are; else a part is a piece of the file."""
WHOLE_BELOW = 1 << 20
"""A smaller file is one object, as it is."""
_PARTS = 256
_UNIT = 128 << 10
_LARGEST = 4 << 20
_LEVEL = 3
_WIDTHS = (4, 2, 1)
_SAMPLE = 32 << 10
_PLANE = struct.Struct("<?I")
_DIGEST = 32


@dataclass(frozen=True)
class PartList:
    """What a file is made of.

    Attributes:
        size: Of the file, in bytes.
        part: Of each part of it but the last one, in bytes.
        coding: How the parts are stored; "" for as they are.
        digests: Of each part as it is stored, in order.
    """

    size: int
    part: int
    coding: str
    digests: Sequence[str]

    def to_bytes(self) -> bytes:
        """Return it as a JSON text."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1).encode() + b"\n"

    @classmethod
    def from_bytes(cls, name: str, content: bytes) -> PartList:
        """Return what `to_bytes` returned.

        Raises:
            DamagedMirror: It is something else.
        """
        try:
            values = json.loads(content)
            found = cls(values["size"], values["part"], values["coding"], tuple(values["digests"]))
            if values["format"] != FORMAT or found.coding not in {"", PLANES}:
                raise DamagedMirror(f"{name} was written by a later version")
            is_fitting = 0 < found.part <= _LARGEST and len(found.digests) == -(-found.size // found.part)
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise DamagedMirror(f"{name} is damaged: it is no list of parts") from error
        if not is_fitting:
            raise DamagedMirror(f"{name} is damaged: its parts do not make the file")
        return found

    def lengths(self) -> Iterator[int]:
        """Yield the size of each part, as a piece of the file."""
        return (min(self.part, self.size - number * self.part) for number in range(len(self.digests)))


def library() -> Any:
    """Return the module zstandard, None where it is not installed; imported only when a checkpoint is at hand."""
    try:
        import zstandard
    except ImportError:
        return None
    return zstandard


def part_size(size: int) -> int:
    """Return the size of the parts of a file: a 256th of it, in multiples of 128 KiB, and 4 MiB at most."""
    return min(_LARGEST, max(1, -(-size // (_PARTS * _UNIT))) * _UNIT)


def digest(stored: bytes) -> str:
    """Return the digest that a part is named by."""
    return hashlib.sha256(stored).hexdigest()[:_DIGEST]


def coding() -> str:
    """Return how parts are coded on this machine."""
    return PLANES if library() else ""


def encode(piece: bytes) -> bytes:
    """Return a part as it is stored here: the width of its numbers, then each plane of it."""
    zstandard = library()
    if not zstandard:
        return piece
    compress = zstandard.ZstdCompressor(_LEVEL).compress
    width = min(_WIDTHS, key=lambda width: sum(map(len, _planes(piece[:_SAMPLE], width, compress))))
    return b"".join([bytes([width]), *_planes(piece, width, compress)])


def decoder(coding: str) -> Callable[[bytes, int], bytes | bytearray]:
    """Return what makes a piece of the file, which has a certain length, of a part as it was stored.

    One thread uses it.

    Raises:
        LibraryMissing: The library for it is not there.
    """
    if not coding:
        return lambda stored, _: stored
    zstandard = library()
    if not zstandard:
        raise LibraryMissing(
            "checkpoints in this mirror are compressed, which takes zstandard to read: "
            "pip install 'offline-uploader[mirror]', and do this again"
        )
    return partial(_decode, partial(_unpacked, zstandard, zstandard.ZstdDecompressor()))


def _planes(piece: bytes, width: int, compress: Callable[[bytes], bytes]) -> list[bytes]:
    made = []
    for first in range(width):
        plane = piece[first::width]
        packed = compress(plane)
        is_packed = len(packed) < len(plane)
        kept = packed if is_packed else plane
        made.append(_PLANE.pack(is_packed, len(kept)) + kept)
    return made


def _decode(unpacked: Callable[[memoryview, int], bytes], stored: bytes, length: int) -> bytearray:
    """Return the piece, or something else where the part is not what its name says.

    Raises:
        ValueError: It cannot be decoded.
    """
    width, at = stored[0] if stored else 0, 1
    if width not in _WIDTHS:
        raise ValueError(f"its numbers cannot have {width} bytes")
    piece, whole = bytearray(length), memoryview(stored)
    for first in range(width):
        if at + _PLANE.size > len(stored):
            raise ValueError("it ends too early")
        is_packed, size = _PLANE.unpack_from(stored, at)
        at += _PLANE.size
        plane = whole[at : at + size]
        piece[first::width] = unpacked(plane, len(range(first, length, width))) if is_packed else plane
        at += size
    return piece


def _unpacked(zstandard: Any, decompressor: Any, plane: memoryview, expected: int) -> bytes:
    """Return a plane; nothing that claims to be longer is allocated.

    Raises:
        ValueError: It is not of this length.
    """
    try:
        if zstandard.get_frame_parameters(plane).content_size != expected:
            raise ValueError("a plane of a part has another length")
        return bytes(decompressor.decompress(plane))  # a plane of 4 MiB at most
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
