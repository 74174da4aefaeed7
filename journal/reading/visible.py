"""What tells that something else can be read in a shared journal."""

from __future__ import annotations

from sqlalchemy import Connection, text

_SNAPSHOT = text("SELECT CAST(pg_current_snapshot() AS TEXT)")


def visible(connection: Connection) -> str:
    """Return a text that is another one whenever anything was committed in between, and perhaps at other times.

    It says which transactions of the server are over. See
    https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SNAPSHOT.

    Args:
        connection: To a shared journal, in a transaction that only reads.
    """
    told: str = connection.execute(_SNAPSHOT).scalar_one()
    return told
