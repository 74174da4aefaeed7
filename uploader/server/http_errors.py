"""Refusals of the local platform, each tied to the HTTP status that carries it.

ApiError
├── Malformed       400  the request is not what HTTP or JSON allow
├── Unauthorized    401  no key, or the wrong one
├── Forbidden       403  a signature that is bad or has expired, a private dataset
├── NotFound        404  no such model, upload, file or dataset
├── TooSlow         408  the rest of the body did not come in time
├── Conflict        409  known, but not in a state that allows this
├── Gone            410  an unfinished upload whose time is over
├── WrongTusVersion 412  another version of tus than the one spoken
├── TooLarge        413  above a stated limit
├── WrongMediaType  415  a body of another kind than the one taken
├── Invalid         422  well-formed JSON that says something impossible
├── Locked          423  another request is writing to the same upload
└── WrongChecksum   460  bytes that are not those that were announced (the number is tus's own)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class ApiError(Exception):
    """A request that is refused. The message is shown to the client, so it carries no secret.

    Attributes:
        status: HTTP status code of the answer.
        headers: Headers that belong to it.
    """

    status = 500
    headers: ClassVar[Mapping[str, str]] = {}


class Malformed(ApiError):
    """The request is not valid HTTP or JSON, or its body is incomplete."""

    status = 400


class Unauthorized(ApiError):
    """The API key is missing or wrong."""

    status = 401


class Forbidden(ApiError):
    """The caller may not have this."""

    status = 403


class NotFound(ApiError):
    """The thing named does not exist here."""

    status = 404


class TooSlow(ApiError):
    """The client sends its body too slowly, or no more of it."""

    status = 408
    headers: ClassVar[Mapping[str, str]] = {"Connection": "close"}


class Conflict(ApiError):
    """The thing named exists, but its state does not allow the request."""

    status = 409


class Gone(ApiError):
    """The thing named was here, and its time is over."""

    status = 410


class WrongTusVersion(ApiError):
    """The request speaks a version of tus that is not spoken here."""

    status = 412
    headers: ClassVar[Mapping[str, str]] = {"Tus-Version": "1.0.0"}


class TooLarge(ApiError):
    """The body or the file is above a limit."""

    status = 413


class WrongMediaType(ApiError):
    """The body is of a kind that is not taken here."""

    status = 415


class Invalid(ApiError):
    """A field is missing, of the wrong type or out of range."""

    status = 422


class Locked(ApiError):
    """Another request is writing to the same upload."""

    status = 423


class WrongChecksum(ApiError):
    """The bytes are not those that were announced; none of them is kept."""

    status = 460
