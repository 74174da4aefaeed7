"""A ZIP file that is made on the way, in the memory of a block."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator

File = tuple[str, Iterable[bytes]]


class _Outlet(io.RawIOBase):
    """Takes what is written, and hands it out; it cannot be sought, so sizes follow their contents."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, part: object) -> int:
        self._parts.append(bytes(part))  # type: ignore[call-overload]
        return len(self._parts[-1])

    def taken(self) -> bytes:
        """Return what was written since the last call."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


def zipped(files: Iterable[File]) -> Iterator[bytes]:
    """Yield the bytes of a ZIP file.

    Args:
        files: Name and content of each file; the content is read when its turn comes. Checkpoints, which no compression
            makes smaller, are stored as they are.
    """
    outlet = _Outlet()
    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_STORED if name.endswith(".pt") else zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            with archive.open(entry, "w", force_zip64=True) as target:
                for part in content:
                    target.write(part)
                    yield outlet.taken()
    yield outlet.taken()
