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

from journal.clock import LONGEST_RETRY_AFTER
from uploader.errors import CredentialsRefused, DeliveryError, Forbidden, Foreign, Refused, RunGone, Transient

PROXY_LOGIN = (
    "a proxy asks for a login: put it into the proxy's URL, as in HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT, with "
    "special characters as %XX"
)
"""What a 407 means."""

_LONGEST_MESSAGE = 200  # characters that are kept of a server's message
_ID = 2048  # characters of an id, which may be a URL
_FIGURE = 32  # characters of a figure or a date in a header
_LATER = frozenset({408, 421, 423, 425, 429})
_PROXY_LOGIN = 407
_FOREIGN = "something that is not the platform's: a proxy or the network's sign-in page may stand in between"
_SAYING = ("error", "message", "detail", "reason", "errors")
# The tags of a page or a storage's XML that hold its message.
_MARKED = tuple(re.compile(rb"(?i)<%b\b[^<>]*>([^<]+)</" % tag) for tag in (b"code", b"message", b"title"))
_PAGE = re.compile(rb"(?i)[\s\xef\xbb\xbf]*<(?!\?xml|error\b)")
_BEGINNING = 4096  # bytes of an answer without JSON that are searched for a message


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, read to its end or up to a limit.

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

    @property
    def is_page(self) -> bool:
        """Whether it is HTML, meant for a person: neither an API nor a storage answers so."""
        is_named_so = "html" in self.headers.get("Content-Type", "").lower()
        return bool(self.body.strip() and (is_named_so or _PAGE.match(self.body))) and self.json() is None


class AnswerTooLong(Transient):
    """The answer has more bytes than are read, so it cannot be used."""


def success(answer: Answer, host: str) -> dict[str, Any]:
    """Return the JSON object of a successful answer.

    Args:
        answer: The answer.
        host: Who gave it, for messages.

    Raises:
        AnswerTooLong: It is a success, with more bytes than were read.
        DeliveryError: It is no success, or one without a JSON object, such as the sign-in page of a hotel's network.
    """
    if not answer.ok:
        raise refusal(answer, host)
    content = answer.json()
    if content is None and not answer.is_whole:
        raise AnswerTooLong(f"{host} answered with more than {len(answer.body)} bytes", status=answer.status)
    if content is None:
        raise foreign(answer, host)
    return content


def foreign(answer: Answer, host: str) -> Foreign:
    """Return the error for an answer that did not come from who was asked.

    Args:
        answer: The answer.
        host: Who was asked, for the message.
    """
    return Foreign(f"{host} answered {answer.status} with {_FOREIGN}{detail(answer)}", status=answer.status)


def refusal(answer: Answer, host: str, *, speaks_json: bool = True) -> DeliveryError:
    """Return the error that an unsuccessful status stands for.

    A 4xx without a JSON object is not the platform's: whoever stands in between, such as an ingress during a
    deployment, must not decide on a delivery.

    Args:
        answer: The answer.
        host: Who gave it, for the message.
        speaks_json: Whether it refuses in JSON; a storage does so in XML or without a body, but never with a page.
    """
    status = answer.status
    message = f"{host} answered {status}{_rate_limit(answer.headers)}{detail(answer)}"
    if status == 401:
        return CredentialsRefused(message)
    if status == _PROXY_LOGIN:
        return Transient(f"{message}; {PROXY_LOGIN}", status=status)
    if status in _LATER or status >= 500:
        return Transient(message, status=status, retry_after=_retry_after(answer.headers))
    if status < 400:
        target = host_of(answer.headers.get("Location", ""))
        return Transient(f"{message} and points to {target}, which is not followed; check the URL", status=status)
    if answer.is_page or (speaks_json and answer.json() is None):
        return foreign(answer, host)
    return (Forbidden if status == 403 else Refused)(message, status=status)


def deleted(error: Refused) -> RunGone:
    """Return the error for a 404 on a run's model, with the next step."""
    cure = "`verify RUN --fix` sends again what it lacks, and `drop --to URL --run ID` gives up the rest"
    why = "the model was deleted there, or restored from an older backup"
    return RunGone(f"{error}; {why}: `retry` helps only once it is restored as it was, {cure}", status=error.status)


def is_id(value: object) -> bool:
    """Return whether a server's value can be an id."""
    if isinstance(value, str):
        return 0 < len(value) <= _ID
    return isinstance(value, int) and not isinstance(value, bool)


def brief(value: object) -> object:
    """Return what is kept of a server's value other than an id: numbers as they are, of the rest the first words."""
    return value if value is None or isinstance(value, (int, float)) else shortened(str(value))


def shortened(text: str) -> str:
    """Shorten a server's message, and remove what follows a question mark, which may be a signature."""
    short = re.sub(r"\?\S+", "?…", " ".join(text.split()))[:_LONGEST_MESSAGE]
    return short.encode("utf-8", "backslashreplace").decode()  # valid JSON may hold half of an emoji


def host_of(url: str) -> str:
    """Return host and port of a URL, for messages; the rest of it may be secret."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2] or "the host"
    except ValueError:
        return "the host"


def server_message(content: Mapping[str, Any]) -> str:
    """Return the server's message about an error, shortened and after a colon; "" if there is none."""
    return f": {short}" if (short := shortened(_text(content))) else ""


def detail(answer: Answer) -> str:
    """Return an answer's message after a colon: from JSON, a storage's XML, a page's title or plain text."""
    if (content := answer.json()) is not None:
        return server_message(content)
    text = answer.body[:_BEGINNING]
    if b"<" in text:
        found = (pattern.search(text) for pattern in _MARKED)
        text = b": ".join(match[1] for match in found if match)
    return f": {short}" if (short := shortened(text.decode("utf-8", "replace"))) else ""


def _text(value: object) -> str:
    """Return the first text in a server's description of an error: a text, an object with one, or a list of these."""
    if isinstance(value, Mapping):
        return next(filter(None, (_text(value[name]) for name in _SAYING if name in value)), "")
    if isinstance(value, list):
        return next(filter(None, map(_text, value[:10])), "")
    return value if isinstance(value, str) else ""


def _rate_limit(headers: Mapping[str, str]) -> str:
    """Return how many requests are left, and for how long, if the server says so."""
    left, limit = headers.get("X-RateLimit-Remaining"), headers.get("X-RateLimit-Limit")
    if left is None or limit is None:
        return ""
    wait = headers.get("Retry-After")
    again = f", again after {wait[:_FIGURE]}s" if wait is not None else ""
    return f" ({left[:_FIGURE]} of {limit[:_FIGURE]} requests left{again})"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return `Retry-After`, given in seconds or as a date, in seconds from now; None if absent or invalid."""
    value = headers.get("Retry-After")
    if value is None:
        return None
    try:
        return min(Retry().parse_retry_after(value), LONGEST_RETRY_AFTER.total_seconds())
    except (InvalidHeader, ValueError, OverflowError):  # more digits, or a later year, than Python counts
        return None
