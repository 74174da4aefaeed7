"""A durable outbox for training runs: events and checkpoints in a local SQLite file, and deliveries of them.

It knows nothing of HTTP, Ultralytics or torch. `journal.open()` is the way in; `sqlite3 journal.db` the way to look.
"""

from __future__ import annotations

import sys

if sys.platform == "win32":  # before a module of the standard library is missing in the middle of something
    raise ImportError("offline-uploader runs on Linux and macOS; on Windows, run it and the training under WSL")

from journal.encoding import encode
from journal.errors import JournalError
from journal.folder import Journal
from journal.opening import open_journal as open

DISTRIBUTION = "offline-uploader"  # other projects have modules of this name: `uploader.names` looks at this

__all__ = ["Journal", "JournalError", "encode", "open"]
