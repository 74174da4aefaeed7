"""The headers of tus 1.0, a protocol for resumable uploads. Pure functions.

The specification is at https://tus.io/protocols/resumable-upload.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate

from uploader.server.http_errors import Malformed, WrongMediaType, WrongTusVersion

VERSION = "1.0.0"
"""The only supported version."""

EXTENSIONS = "creation,checksum,expiration,termination"
"""Supported extensions of the core protocol."""

ALGORITHMS = ("sha256", "sha1", "md5")
"""Digest algorithms accepted in `Upload-Checksum`, by the names of `hashlib`. tus requires at least sha1."""

_WHOLE_NUMBER = re.compile(r"[0-9]{1,18}")  # always below 2**63, the limit of SQLite's INTEGER
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True)
class Checksum:
    """The checksum of the bytes of one PATCH."""

    algorithm: str
    digest: bytes


def check_version(headers: Mapping[str, str]) -> None:
    """Raise `WrongTusVersion` unless a request names the supported version of tus."""
    if headers.get("tus-resumable") != VERSION:
        raise WrongTusVersion(f"The header Tus-Resumable must be {VERSION}")


def check_media_type(headers: Mapping[str, str]) -> None:
    """Raise `WrongMediaType` unless a body has tus's media type for raw bytes."""
    if headers.get("content-type") != "application/offset+octet-stream":
        raise WrongMediaType("The header Content-Type must be application/offset+octet-stream")


def whole_number(headers: Mapping[str, str], name: str) -> int:
    """Return a header that must contain a number of bytes.

    Raises:
        Malformed: It is missing or not a number.
    """
    value = headers.get(name.lower(), "")
    if not _WHOLE_NUMBER.fullmatch(value):
        raise Malformed(f"The header {name} must contain a number of bytes")
    return int(value)


def metadata(headers: Mapping[str, str]) -> dict[str, str]:
    """Return `Upload-Metadata`: comma-separated pairs of a key and an optional value in Base64.

    Raises:
        Malformed: It has another form, or a key occurs twice.
    """
    header = headers.get("upload-metadata", "")
    pairs = [pair.strip().partition(" ") for pair in header.split(",")] if header.strip() else []
    values = {key: _text(value) for key, _, value in pairs}
    if "" in values or len(values) != len(pairs):
        raise Malformed("The keys in the header Upload-Metadata must be unique and not empty")
    return values


def sha256_of(values: Mapping[str, str]) -> str | None:
    """Return the SHA-256 of the whole file from the metadata, as lower-case hex digits, or None.

    Raises:
        Malformed: It is not a SHA-256 digest.
    """
    value = values.get("sha256")
    if value is not None and not _SHA256.fullmatch(value):
        raise Malformed("'sha256' in the header Upload-Metadata must have 64 hexadecimal digits")
    return value and value.lower()


def checksum(headers: Mapping[str, str]) -> Checksum | None:
    """Return `Upload-Checksum`, the name of an algorithm and a digest in Base64, or None.

    Raises:
        Malformed: It has another form, or names an unsupported algorithm.
    """
    header = headers.get("upload-checksum")
    if header is None:
        return None
    algorithm, _, digest = header.partition(" ")
    if algorithm not in ALGORITHMS:
        raise Malformed(f"The header Upload-Checksum must begin with one of {', '.join(ALGORITHMS)}")
    return Checksum(algorithm, _bytes(digest))


def http_date(moment: float) -> str:
    """Return Unix seconds in the format of `Upload-Expires`."""
    return formatdate(moment, usegmt=True)


def _text(value: str) -> str:
    try:
        return _bytes(value).decode()
    except UnicodeError as error:
        raise Malformed("The values of the header Upload-Metadata must be text in UTF-8") from error


def _bytes(value: str) -> bytes:
    try:
        return base64.b64decode(value.encode(), validate=True)
    except (binascii.Error, UnicodeError) as error:
        raise Malformed("The headers Upload-Metadata and Upload-Checksum must contain Base64") from error
