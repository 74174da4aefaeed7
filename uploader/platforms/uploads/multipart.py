"""A form with one file as a request body (RFC 7578); the file is read from disk while it is sent."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from urllib3.fields import RequestField

from uploader.platforms.http.file_body import BLOCK, BlobReader, Body


class FormReader(Body):
    """Reads a form once: its fields, the file, the closing boundary.

    Args:
        fields: Names and values; values are sent as text.
        name: The name of the file, and of its field.
        file: Opened and closed by the caller.
    """

    def __init__(self, fields: Mapping[str, Any], name: str, file: BlobReader) -> None:
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        before = [_part(boundary, RequestField(each, ""), str(value)) for each, value in fields.items()]
        before.append(_part(boundary, RequestField(name, "", filename=name), ""))
        self._head = "".join(before).removesuffix("\r\n").encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self._file = file
        self._size = len(self._head) + len(file) + len(self._tail)

    def __len__(self) -> int:
        """Return the size in bytes."""
        return self._size

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most `size`; none at the end.

        Raises:
            BlobUnusable: The file is not the one that was journaled; it has not been sent completely.
        """
        limit = BLOCK if size < 0 else size
        if self._head:
            block, self._head = self._head[:limit], self._head[limit:]
            return block
        if block := self._file.read(limit):
            return block
        block, self._tail = self._tail[:limit], self._tail[limit:]
        return block


def _part(boundary: str, field: RequestField, value: str) -> str:
    field.make_multipart()
    return f"--{boundary}\r\n{field.render_headers()}{value}\r\n"
