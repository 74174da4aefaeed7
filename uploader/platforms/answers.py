"""HTTP answers, and what each status means for a delivery. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from urllib3 import Retry
from urllib3.exceptions import InvalidHeader

from uploader.errors import CredentialsRefused, DeliveryError, Refused, RunGone, Transient

LONGEST_RETRY_AFTER = 3600.0
"""A server that asks for more is asked again after an hour: its clock or its figure may be wrong."""

_WORDS = 200  # characters of a server's own words that are kept
_ID = 2048  # characters of an id, which may be a URL
_FIGURE = 32  # characters of a figure or a date in a header
_LATER = frozenset({407, 408, 425, 429})


@dataclass(frozen=True)
class Answer:
    """An HTTP answer that came to its end, or to the most that is read of one.

    Attributes:
        status: The HTTP status.
        headers: Its headers; names in any case.
        body: Its body, as far as it was read.
        is_whole: Whether that is all of it.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_whole: bool = True

    @property
    def ok(self) -> bool:
        """Whether the status is a success."""
        return 200 <= self.status < 300

    def json(self) -> dict[str, Any] | None:
        """Return the body as a JSON object, or None when it is anything else."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return value if isinstance(value, dict) else None


class AnswerTooLong(Transient):
    """The answer has more bytes than are read, so that it tells nothing."""


def success(answer: Answer, host: str) -> dict[str, Any]:
    """Return the JSON object of a successful answer.

    Args:
        answer: The answer.
        host: Who gave it, for messages.

    Raises:
        AnswerTooLong: It says so, in more bytes than were read.
        DeliveryError: The status says otherwise, or a success does not hold a JSON object, as with the sign-in
            page of a hotel's network.
    """
    if not answer.ok:
        raise refusal(answer, host)
    content = answer.json()
    if content is None and not answer.is_whole:
        raise AnswerTooLong(f"{host} answered with more than {len(answer.body)} bytes", status=answer.status)
    if content is None:
        raise Transient(
            f"{host} answered {answer.status} with something that is not the platform's: "
            "a proxy or the network's sign-in page may stand in between",
            status=answer.status,
        )
    return content


def refusal(answer: Answer, host: str) -> DeliveryError:
    """Return the error that an unsuccessful status stands for.

    Args:
        answer: The answer.
        host: Who gave it, for the message.
    """
    status = answer.status
    said = f"{host} answered {status}{_rate_limit(answer.headers)}{_detail(answer)}"
    if status in {401, 403}:
        return CredentialsRefused(said)
    if status in _LATER or status >= 500:
        return Transient(said, status=status, retry_after=_retry_after(answer.headers))
    if status < 400:
        target = host_of(answer.headers.get("Location", ""))
        return Transient(f"{said} and points to {target}, which is not followed; check the URL", status=status)
    return Refused(said, status=status)


def deleted(error: Refused) -> RunGone:
    """Return what a 404 for a run's model means, and what to do about it."""
    cure = "`retry` helps only once it is restored; if it never is, `drop --to URL --run ID` gives up the rest"
    return RunGone(f"{error}; the model was deleted there: {cure}", status=error.status)


def is_id(value: object) -> bool:
    """Return whether a server's value can be the id that it says it is."""
    if isinstance(value, str):
        return 0 < len(value) <= _ID
    return isinstance(value, int) and not isinstance(value, bool)


def brief(value: object) -> object:
    """Return what is kept of a server's value that is no id: figures as they are, of anything else the first words."""
    return value if value is None or isinstance(value, (int, float)) else words(str(value))


def words(text: str) -> str:
    """Return a server's own words, short and without what follows a question mark: it may be a signature."""
    short = re.sub(r"\?\S+", "?…", " ".join(text.split()))[:_WORDS]
    return short.encode("utf-8", "backslashreplace").decode()  # valid JSON may hold half of an emoji


def host_of(url: str) -> str:
    """Return host and port of a URL, for messages; the rest of it may be secret."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2] or "the host"
    except ValueError:
        return "the host"


def _detail(answer: Answer) -> str:
    content = answer.json() or {}
    said = next((content[name] for name in ("error", "message", "detail") if isinstance(content.get(name), str)), "")
    return f": {short}" if (short := words(said)) else ""


def _rate_limit(headers: Mapping[str, str]) -> str:
    """Return how many requests are left of how many, and for how long, where the server counts them."""
    left, limit = headers.get("X-RateLimit-Remaining"), headers.get("X-RateLimit-Limit")
    if left is None or limit is None:
        return ""
    wait = headers.get("Retry-After")
    again = f", again after {wait[:_FIGURE]}s" if wait is not None else ""
    return f" ({left[:_FIGURE]} of {limit[:_FIGURE]} requests left{again})"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return `Retry-After`, in seconds or as a date, as seconds from now; None when absent or not understood."""
    value = headers.get("Retry-After")
    if value is None:
        return None
    try:
        return min(Retry().parse_retry_after(value), LONGEST_RETRY_AFTER)
    except (InvalidHeader, ValueError, OverflowError):  # more digits, or a later year, than Python counts
        return None
