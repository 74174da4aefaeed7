"""Addresses of platforms, and the canonical form in which they are stored and compared. Pure."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from uploader.errors import SettingsError

_USUAL_PORTS = {"http": 80, "https": 443}
# One URL parser takes these for the end of a host, another for a part of it.
_AMBIGUOUS = re.compile(r"[\s\\\x00-\x1f\x7f]")
# Where people put keys and passwords, even in what is no URL; each keeps what precedes the secret.
_MAYBE_SECRET = (
    re.compile(r"(?s)^([a-zA-Z][a-zA-Z0-9+.-]*://|).*(?=@)"),
    re.compile(r"(?s)([?#=\s]).+"),
    re.compile(r"(:)(?!//|\d{1,5}(?:/|$))[^/]+"),  # a password without its host, where a port would be
    re.compile(r"()[\w-]{20,}"),  # longer than most host names: maybe a misplaced key
)


def base_url(text: str) -> str:
    """Check a platform's base URL and return it in canonical form.

    Args:
        text: What a person gave.

    Returns:
        The URL with scheme and host in lower case, without the default port or a trailing slash. Two URLs lead to the
        same place only if these are equal.

    Raises:
        SettingsError: It is not http(s), names no host, or holds credentials, a query or a fragment, which would end up
            in the journal. The message hides what may be a secret.
    """
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or parts.scheme not in _USUAL_PORTS or port == 0 or _AMBIGUOUS.search(text):
        raise SettingsError(f"a platform URL must look like https://host or http://host:port; not {_shown(text)}")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise SettingsError(
            f"a platform URL must not hold a key or a query, as {_shown(text)} does; the key goes into a variable "
            "of the environment, which `python -m uploader drain --help` names"
        )
    shown_port = "" if port in {None, _USUAL_PORTS[parts.scheme]} else f":{port}"
    shown_host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown_host}{shown_port}{parts.path.rstrip('/')}"


def shown(text: str) -> str:
    """Return an address for messages: a valid one as it is, any other without what may be a secret.

    Args:
        text: What a person gave, or what a journal holds.
    """
    try:
        base_url(text)
    except SettingsError:
        return _without_secrets(text)
    return text


def is_same_place(url: str, other: str) -> bool:
    """Return whether two base URLs lead to the same place; an invalid one leads nowhere."""
    try:
        return base_url(url) == base_url(other)
    except SettingsError:
        return False


def is_readable_on_the_way(url: str) -> bool:
    """Return whether others on the network can read what is sent there: without TLS, and not to this machine."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not _is_this_machine(parts.hostname or "")


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _shown(text: str) -> str:
    return repr(_without_secrets(text))


def _without_secrets(text: str) -> str:
    for pattern in _MAYBE_SECRET:
        text = pattern.sub(r"\g<1>***", text)
    return text
