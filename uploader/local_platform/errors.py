"""Refusals of the local platform, each tied to the HTTP status that carries it.

ApiError
├── Malformed      400  the request is not what HTTP or JSON allow
├── Unauthorized   401  no key, or the wrong one
├── Forbidden      403  a signature that is bad or has expired, a private dataset
├── NotFound       404  no such model, upload, file or dataset
├── Conflict       409  known, but not in a state that allows this
├── TooLarge       413  above a stated limit
└── Invalid        422  well-formed JSON that says something impossible
"""

from __future__ import annotations


class ApiError(Exception):
    """A request that is refused. The message is shown to the client, so it carries no secret.

    Attributes:
        status: HTTP status code of the answer.
    """

    status = 500


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


class Conflict(ApiError):
    """The thing named exists, but its state does not allow the request."""

    status = 409


class TooLarge(ApiError):
    """The body or the file is above a limit."""

    status = 413


class Invalid(ApiError):
    """A field is missing, of the wrong type or out of range."""

    status = 422
