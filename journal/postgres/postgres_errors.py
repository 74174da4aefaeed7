"""Errors of PostgreSQL, in words: what is wrong, and what a person does about it."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

from journal.errors import DiskFull, JournalAway, JournalBusy, JournalError, JournalUnwritable

# By SQLSTATE, or its class: https://www.postgresql.org/docs/current/errcodes-appendix.html
_AWAY = ("08", "57P", "25006")
_BUSY = ("55P03", "40001", "40P01", "53300", "57014")
_NO_ENTRY = ("28", "3D000")
# A refused connection has no code; https://github.com/postgres/postgres/blob/master/src/backend/libpq/auth.c says so.
_NO_ENTRY_SAID = ("authentication failed", "does not exist", "no pg_hba.conf entry", "no password supplied")
_NO_RIGHT = "42501"
_FULL = ("53100", "53200")


def from_postgres(error: DBAPIError, address: str) -> JournalError:
    """Translate an error of the driver into the tree of `journal.errors`.

    Args:
        error: What SQLAlchemy raised.
        address: The journal's, without secrets.
    """
    cause = error.orig
    code = getattr(cause, "sqlstate", None) or ""
    why = _first_line(cause)
    if code.startswith(_NO_ENTRY) or (not code and any(words in why for words in _NO_ENTRY_SAID)):
        return JournalUnwritable(
            f"{address} does not let us in ({why}); check user, password (PGPASSWORD or ~/.pgpass) and database"
        )
    if code.startswith(_BUSY):
        return JournalBusy(f"{address} is busy ({why}); try again")
    if error.connection_invalidated or code.startswith(_AWAY) or (not code and _is_operational(error)):
        return JournalAway(f"{address} cannot be reached ({why}); check the server and the network")
    if code == _NO_RIGHT:
        return JournalUnwritable(f"{address} refuses this ({why}); docs/scale-out.md names the rights that are needed")
    if code.startswith(_FULL):
        return DiskFull(f"the server of {address} has no space left ({why}); free some there and run the command again")
    return JournalError(f"{address}: {why}")


def _is_operational(error: DBAPIError) -> bool:
    return type(error.orig).__name__ in {"OperationalError", "ConnectionTimeout"}


def _first_line(cause: BaseException | None) -> str:
    """Return what the driver says; its further lines repeat the statement."""
    lines = str(cause).strip().splitlines()
    return lines[0] if lines else type(cause).__name__
