"""The URLs by which shared journals are named. Pure.

As for mirrors, a path may stand for an address: pathlib leaves one slash of two, and a third is written as `//@/`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

EXAMPLE = "postgresql://user@host:5432/database"
SEVERAL = "postgresql://user@/database?host=one:5432&host=other:5432&target_session_attrs=read-write"
"""The same, for a server and its standbys."""

_URL = re.compile(r"postgres(?:ql)?(?:\+\w+)?:(/{1,3})(.*)", re.IGNORECASE | re.DOTALL)
_NO_HOST = 3  # slashes: the server on this machine
_PASSWORD = re.compile(r"([^:]*):(.*)@(.*)", re.DOTALL)
_RAW = re.compile(r"[@/?#]")
_BRACKETED = re.compile(r"\[[^\]]*\]")
_PORT = re.compile(r":([^:\]]*)$")
_NO_PORT = re.compile(r"^([^/?]*):(?![\d:]*[\]/?,]|[\d:]*$)[^/?,\]]+(?=[/?]|$)")
_LAST_PORT = 65535
_SECRETS = frozenset({"password", "sslpassword", "passfile"})


def shared_url(path: str | os.PathLike[str]) -> str | None:
    """Return the URL of the shared journal that somebody has named, perhaps as a path; None for a folder."""
    found = _URL.fullmatch(os.fspath(path))
    if found is None:
        return None
    return f"postgresql://{'@/' if len(found[1]) == _NO_HOST else ''}{found[2]}"


def as_path(url: str) -> Path:
    """Return the path that stands for a URL, from which `shared_url` makes it again."""
    return Path(shared_url(url) or url)


def without_password(url: str) -> str:
    """Return a URL as people are told of it: without what may be a secret, also where one was not written as it ought.

    What is between the first colon and the last `@` is taken for the password: it may hold a slash, a question mark or
    an `@` that is not escaped. More may be hidden than is secret then, and never less.
    """
    rest = url.partition("://")[2]
    if found := _PASSWORD.fullmatch(rest):
        rest = f"{found[1]}@{found[3]}"
    rest = _NO_PORT.sub(r"\1:***", rest)  # a password without its host, where a port would be
    place, _, query = rest.partition("?")
    kept = "&".join(one for one in query.split("&") if one.partition("=")[0].lower() not in _SECRETS)
    return f"postgresql://{place}{'?' if kept else ''}{kept}"


def why_unusable(url: str) -> str | None:
    """Return why a URL from `shared_url` can name no shared journal, without its password; None if it can."""
    place = without_password(url)
    rest = url.partition("://")[2]
    if (found := _PASSWORD.fullmatch(rest)) and _RAW.search(found[2]):
        return (
            "a password in a URL is written with %40 for @, %2F for /, %3F for ? and %23 for #; "
            "or leave it to PGPASSWORD or ~/.pgpass"
        )
    host, _, database = rest.rpartition("@")[2].partition("?")[0].partition("/")
    if ":" in _BRACKETED.sub("", host.rpartition(",")[0]):  # a port that is not the last server's
        return f"{place} names several servers, which are named as {SEVERAL}"
    if (port := _PORT.search(host)) and not (port[1].isdecimal() and 0 < int(port[1]) <= _LAST_PORT):
        return f"the port in {place} is no number from 1 to {_LAST_PORT}"
    return None if database else f"{place} names no database; a shared journal is named as {EXAMPLE}"


def told(path: str | os.PathLike[str]) -> str:
    """Return a journal as people are told of it: its folder, or its URL without a password."""
    url = shared_url(path)
    return os.fspath(path) if url is None else without_password(url)
