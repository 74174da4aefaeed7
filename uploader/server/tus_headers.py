"""The headers of tus 1.0, the protocol for uploads that go on after an interruption. Pure functions.

Its text is at https://tus.io/protocols/resumable-upload.
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
"""The one version spoken."""

EXTENSIONS = "creation,checksum,expiration,termination"
"""What is spoken beyond the core protocol."""

ALGORITHMS = ("sha256", "sha1", "md5")
"""Names of the digests that `Upload-Checksum` may carry, here and in `hashlib` alike. tus asks for sha1 at least."""

_WHOLE_NUMBER = re.compile(r"[0-9]{1,18}")  # every one is below 2**63, what SQLite holds
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True)
class Checksum:
    """What the bytes of one PATCH must hash to."""

    algorithm: str
    digest: bytes


def check_version(headers: Mapping[str, str]) -> None:
    """Raise `WrongTusVersion` for a request in another version of tus, or in none."""
    if headers.get("tus-resumable") != VERSION:
        raise WrongTusVersion(f"The header Tus-Resumable must be {VERSION}")


def check_media_type(headers: Mapping[str, str]) -> None:
    """Raise `WrongMediaType` for a body that is not the bytes themselves."""
    if headers.get("content-type") != "application/offset+octet-stream":
        raise WrongMediaType("The header Content-Type must be application/offset+octet-stream")


def whole_number(headers: Mapping[str, str], name: str) -> int:
    """Return a header that must hold a number of bytes.

    Raises:
        Malformed: It is missing, or does not.
    """
    value = headers.get(name.lower(), "")
    if not _WHOLE_NUMBER.fullmatch(value):
        raise Malformed(f"The header {name} must hold a number of bytes")
    return int(value)


def metadata(headers: Mapping[str, str]) -> dict[str, str]:
    """Return `Upload-Metadata`: pairs of a key and its value in Base64, apart by commas; a value may be left out.

    Raises:
        Malformed: It is not of this form, or a key comes twice.
    """
    header = headers.get("upload-metadata", "")
    pairs = [pair.strip().partition(" ") for pair in header.split(",")] if header.strip() else []
    values = {key: _text(value) for key, _, value in pairs}
    if "" in values or len(values) != len(pairs):
        raise Malformed("Each key of the header Upload-Metadata must have a name of its own")
    return values


def sha256_of(values: Mapping[str, str]) -> str | None:
    """Return the SHA-256 of the whole file that the metadata names, as lower-case hex digits, or None.

    Raises:
        Malformed: It is no SHA-256.
    """
    value = values.get("sha256")
    if value is not None and not _SHA256.fullmatch(value):
        raise Malformed("'sha256' in the header Upload-Metadata must have 64 hexadecimal digits")
    return value and value.lower()


def checksum(headers: Mapping[str, str]) -> Checksum | None:
    """Return `Upload-Checksum`, the name of an algorithm and a digest in Base64, or None when there is none.

    Raises:
        Malformed: It is not of this form, or of an algorithm that is not known here.
    """
    header = headers.get("upload-checksum")
    if header is None:
        return None
    algorithm, _, digest = header.partition(" ")
    if algorithm not in ALGORITHMS:
        raise Malformed(f"The header Upload-Checksum must begin with one of {', '.join(ALGORITHMS)}")
    return Checksum(algorithm, _bytes(digest))


def http_date(moment: float) -> str:
    """Return Unix seconds as `Upload-Expires` wants them."""
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
        raise Malformed("The headers Upload-Metadata and Upload-Checksum must hold Base64") from error
