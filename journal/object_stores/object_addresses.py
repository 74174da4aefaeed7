"""Addresses of object stores, as people name them: `s3://bucket/folder`. Nothing here needs the library."""

from __future__ import annotations

import re
from importlib.util import find_spec

OBJECT_STORES = ("s3", "gs", "az")
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


def scheme_of(text: str) -> str | None:
    """Return what an address begins with, in lower case; None if it is no URL."""
    scheme = _URL.match(text)
    return scheme[1].lower() if scheme else None


def checked_address(text: str, what: str) -> str:
    """Return a URL of an object store in its usual form.

    Args:
        text: A URL.
        what: What it is the address of, for messages, such as `a mirror`.

    Raises:
        ValueError: It cannot be one, or the library is not installed.
    """
    if scheme_of(text) not in OBJECT_STORES:
        raise ValueError(f"{what} is a folder, or begins with {', '.join(f'{one}://' for one in OBJECT_STORES)}")
    if "@" in text or "?" in text:
        raise ValueError(f"credentials do not belong into {what}'s address; they are taken from the environment")
    if find_spec("obstore") is None:
        raise ValueError(needed(what))
    return text.rstrip("/")


def needed(what: str) -> str:
    """Say what is to be installed."""
    return f"{what} in an object store needs obstore: pip install 'offline-uploader[mirror]'"
