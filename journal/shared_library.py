"""The library that shared journals need, which is not everybody's; it is looked for without being imported."""

from __future__ import annotations

from importlib.util import find_spec

NEEDS_LIBRARY = "needs a library that is not installed: pip install 'offline-uploader[postgres]'"


def is_installed() -> bool:
    """Return whether it is."""
    return find_spec("psycopg") is not None
