"""What a server tells of a shared journal: that somebody has added events.

See https://www.postgresql.org/docs/current/sql-notify.html. A notice may be missed while the server is away, so whoever
listens looks now and then in any case.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from sqlalchemy import Engine

_NAME = "uploader_events"


class Notices:
    """Listens on a connection of its own. One thread owns it."""

    def __init__(self, engine: Engine) -> None:
        """Listen from the first `note` on."""
        self._engine = engine
        assert engine.dialect.loaded_dbapi is not None
        self._failed = engine.dialect.loaded_dbapi.Error  # past a `Connection`, nothing makes it SQLAlchemy's
        self._connection: Any = None
        self._has_heard = True  # whatever was before

    def note(self) -> None:
        """Forget what was told before; listen, if this does not yet or its server was away."""
        if self._connection is None:
            self._listen()
        self._told()
        self._has_heard = self._connection is None

    def are_any(self) -> bool:
        """Return whether anything was told since, or it cannot be known."""
        self._has_heard = self._has_heard or self._told()
        return self._has_heard

    def close(self) -> None:
        """Listen no more."""
        if self._connection is not None:
            with suppress(Exception):  # of the driver, whose connection may be lost
                self._connection.close()
            self._connection = None

    def _listen(self) -> None:
        try:
            borrowed = self._engine.raw_connection()
            self._connection = borrowed.driver_connection  # which what is detached does not tell any more
            borrowed.detach()
            self._connection.autocommit = True
            self._connection.execute(f"LISTEN {_NAME}")
        except self._failed:  # the server is away: the next time
            self.close()

    def _told(self) -> bool:
        """Take what was told; a lost connection counts as news, and is made anew by the next `note`."""
        if self._connection is None:
            return False
        try:
            return bool(list(self._connection.notifies(timeout=0)))
        except Exception:  # noqa: BLE001 - the driver's: it is not imported here, as it is an extra
            self.close()
            return True
