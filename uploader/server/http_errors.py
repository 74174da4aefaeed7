"""Errors that the local platform answers with, each with its HTTP status.

ApiError
├── Malformed       400  not valid HTTP or JSON, or an incomplete body
├── Forbidden       403  a wrong or expired signature, or a private dataset
├── NotFound        404  no such model, upload, file or dataset
├── TooSlow         408  the rest of the body did not arrive in time
├── Conflict        409  it exists, but its state does not allow the request
├── Gone            410  an unfinished upload that has expired
├── WrongTusVersion 412  an unsupported version of tus
├── TooLarge        413  larger than a limit allows
├── WrongMediaType  415  a body of an unsupported media type
├── Invalid         422  valid JSON with a missing or invalid field
├── Locked          423  another request is writing to the same upload
├── WrongChecksum   460  the bytes do not match their checksum (a status of tus's own)
└── NotHere         501  an operation of the platform that this server does not have
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class ApiError(Exception):
    """A refused request. The message is shown to the client, so it must not contain secrets.

    Attributes:
        status: HTTP status code of the answer.
        headers: Additional headers of the answer.
    """

    status = 500
    headers: ClassVar[Mapping[str, str]] = {}


class Malformed(ApiError):
    """The request is not valid HTTP or JSON, or its body is incomplete."""

    status = 400


class Forbidden(ApiError):
    """The client may not access this."""

    status = 403


class NotFound(ApiError):
    """What the request names does not exist here."""

    status = 404


class TooSlow(ApiError):
    """The client sends its body too slowly, or has stopped sending."""

    status = 408
    headers: ClassVar[Mapping[str, str]] = {"Connection": "close"}


class Conflict(ApiError):
    """What the request names exists, but its state does not allow the request."""

    status = 409


class Gone(ApiError):
    """What the request names has expired."""

    status = 410


class WrongTusVersion(ApiError):
    """The request uses a version of tus that is not supported here."""

    status = 412
    headers: ClassVar[Mapping[str, str]] = {"Tus-Version": "1.0.0"}


class TooLarge(ApiError):
    """The body or the file is larger than a limit allows."""

    status = 413


class WrongMediaType(ApiError):
    """The body's media type is not supported here."""

    status = 415


class Invalid(ApiError):
    """A field is missing, of the wrong type or out of range."""

    status = 422


class Locked(ApiError):
    """Another request is writing to the same upload."""

    status = 423


class WrongChecksum(ApiError):
    """The bytes do not match the announced checksum; none of them is kept."""

    status = 460


class NotHere(ApiError):
    """The platform's API has such an operation, but this server does not."""

    status = 501
