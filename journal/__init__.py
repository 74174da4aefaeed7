"""A durable outbox for training runs: events and checkpoints in a local SQLite file, and deliveries of them.

It knows nothing of HTTP, Ultralytics or torch. `journal.open()` is the way in; `sqlite3 journal.db` the way to look.

Importing this package imports nothing else, SQLAlchemy least of all; each name below is loaded when it is first used.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if sys.platform == "win32":  # before a module of the standard library is missing in the middle of something
    raise ImportError("offline-uploader runs on Linux and macOS; on Windows, run it and the training under WSL")

if TYPE_CHECKING:
    from journal.encoding import encode
    from journal.errors import JournalError
    from journal.folder import Journal
    from journal.opening import open_journal as open

DISTRIBUTION = "offline-uploader"  # other projects have modules of this name: `uploader.names` looks at this

__all__ = ["Journal", "JournalError", "encode", "open"]

_HOMES = {
    "Journal": ("journal.folder", "Journal"),
    "JournalError": ("journal.errors", "JournalError"),
    "encode": ("journal.encoding", "encode"),
    "open": ("journal.opening", "open_journal"),
}


def __getattr__(name: str) -> Any:
    """Load a public name on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home, there = _HOMES[name]
    globals()[name] = value = getattr(import_module(home), there)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
