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

_WORDS = 200  # characters of a server's own words that are kept
_ID = 2048  # characters of an id, which may be a URL
_FIGURE = 32  # characters of a figure or a date in a header
_LATER = frozenset({408, 421, 423, 425, 429})
_PROXY_LOGIN = 407
_FOREIGN = "something that is not the platform's: a proxy or the network's sign-in page may stand in between"
_SAYING = ("error", "message", "detail", "reason", "errors")
# What a page or a storage's XML says of itself, each tag once.
_MARKED = tuple(re.compile(rb"(?i)<%b\b[^<>]*>([^<]+)</" % tag) for tag in (b"code", b"message", b"title"))
_PAGE = re.compile(rb"(?i)[\s\xef\xbb\xbf]*<(?!\?xml|error\b)")
_BEGINNING = 4096  # bytes of an answer without JSON in which its words are looked for


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

    @property
    def is_page(self) -> bool:
        """Whether it is HTML, meant for a person: no API and no storage speaks so."""
        is_named_so = "html" in self.headers.get("Content-Type", "").lower()
        return bool(self.body.strip() and (is_named_so or _PAGE.match(self.body))) and self.json() is None


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
        raise foreign(answer, host)
    return content


def foreign(answer: Answer, host: str) -> Foreign:
    """Return the error for an answer that is not of who was asked.

    Args:
        answer: The answer.
        host: Who was asked, for the message.
    """
    return Foreign(f"{host} answered {answer.status} with {_FOREIGN}{detail(answer)}", status=answer.status)


def refusal(answer: Answer, host: str, *, speaks_json: bool = True) -> DeliveryError:
    """Return the error that an unsuccessful status stands for.

    A 4xx that does not hold a JSON object is not the platform's: whoever stands in between, such as an ingress during a
    deployment, has no say in what becomes of a delivery.

    Args:
        answer: The answer.
        host: Who gave it, for the message.
        speaks_json: Whether that is how it refuses; a storage does so in XML or without words, but by no page.
    """
    status = answer.status
    said = f"{host} answered {status}{_rate_limit(answer.headers)}{detail(answer)}"
    if status == 401:
        return CredentialsRefused(said)
    if status == _PROXY_LOGIN:
        return Transient(f"{said}; {PROXY_LOGIN}", status=status)
    if status in _LATER or status >= 500:
        return Transient(said, status=status, retry_after=_retry_after(answer.headers))
    if status < 400:
        target = host_of(answer.headers.get("Location", ""))
        return Transient(f"{said} and points to {target}, which is not followed; check the URL", status=status)
    if answer.is_page or (speaks_json and answer.json() is None):
        return foreign(answer, host)
    return (Forbidden if status == 403 else Refused)(said, status=status)


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


def said(content: Mapping[str, Any]) -> str:
    """Return the server's own words about an error, short and after a colon; empty where it has none."""
    return f": {short}" if (short := words(_text(content))) else ""


def detail(answer: Answer) -> str:
    """Return what an answer says, after a colon: in JSON, in a storage's XML, as a page's title or a line of text."""
    if (content := answer.json()) is not None:
        return said(content)
    text = answer.body[:_BEGINNING]
    if b"<" in text:
        found = (pattern.search(text) for pattern in _MARKED)
        text = b": ".join(match[1] for match in found if match)
    return f": {short}" if (short := words(text.decode("utf-8", "replace"))) else ""


def _text(value: object) -> str:
    """Return the first words in what a server says of an error: as a text, an object with one, or a list of these."""
    if isinstance(value, Mapping):
        return next(filter(None, (_text(value[name]) for name in _SAYING if name in value)), "")
    if isinstance(value, list):
        return next(filter(None, map(_text, value[:10])), "")
    return value if isinstance(value, str) else ""


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
        return min(Retry().parse_retry_after(value), LONGEST_RETRY_AFTER.total_seconds())
    except (InvalidHeader, ValueError, OverflowError):  # more digits, or a later year, than Python counts
        return None
