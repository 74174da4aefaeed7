"""The URLs by which shared journals are named. Pure.

As for mirrors, a path may stand for an address: pathlib leaves one slash of two, and a third is written as `//@/`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

EXAMPLE = "postgresql://user@host:5432/database"

_URL = re.compile(r"postgres(?:ql)?(?:\+\w+)?:(/{1,3})(.*)", re.IGNORECASE | re.DOTALL)
_NO_HOST = 3  # slashes: the server on this machine
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

    A password may hold a slash or an `@` that is not escaped.
    """
    rest, _, query = url.partition("://")[2].partition("?")
    user, at, place = rest.rpartition("@")
    kept = "&".join(one for one in query.split("&") if one.partition("=")[0].lower() not in _SECRETS)
    return f"postgresql://{user.partition(':')[0]}{at}{place}{'?' if kept else ''}{kept}"


def told(path: str | os.PathLike[str]) -> str:
    """Return a journal as people are told of it: its folder, or its URL without a password."""
    url = shared_url(path)
    return os.fspath(path) if url is None else without_password(url)
