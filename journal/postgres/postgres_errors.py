"""Errors of PostgreSQL, in words: what is wrong, and what a person does about it."""

from __future__ import annotations

import re

from sqlalchemy.exc import DBAPIError

from journal.errors import DiskFull, JournalAway, JournalBusy, JournalError, JournalReadOnly, JournalUnwritable

_NO_DATABASE, _NO_ENTRY, _BUSY, _READ_ONLY, _AWAY, _NO_RIGHT, _FULL = range(7)
# By SQLSTATE, or its class: https://www.postgresql.org/docs/current/errcodes-appendix.html
_CODES = {
    _NO_DATABASE: ("3D000",),
    _NO_ENTRY: ("28",),
    _BUSY: ("55P03", "40001", "40P01", "53300", "57014"),
    _READ_ONLY: ("25006",),
    _AWAY: ("08", "57P"),
    _NO_RIGHT: ("42501",),
    _FULL: ("53100", "53200"),
}
# A refused connection has no code; https://github.com/postgres/postgres/tree/master/src/backend says so, in
# libpq/auth.c, utils/init/postinit.c and utils/init/miscinit.c.
_NO_SUCH_DATABASE = re.compile(r'FATAL:  database ".*" does not exist')
_NO_ENTRY_SAID = (
    "authentication failed",
    "is not permitted to log in",
    "no pg_hba.conf entry",
    "no password supplied",
    "permission denied for database",
    'FATAL:  role "',
)


def from_postgres(error: DBAPIError, address: str) -> JournalError:
    """Translate an error of the driver into the tree of `journal.errors`.

    Args:
        error: What SQLAlchemy raised.
        address: The journal's, without secrets.
    """
    cause, why = _cause(error), _first_line(error.orig)
    if cause == _BUSY:
        return JournalBusy(f"{address} is busy ({why}); try again")
    if cause == _READ_ONLY:
        return JournalReadOnly(f"{address} is a standby, or read-only ({why}); name the primary server")
    if cause == _AWAY:
        return JournalAway(f"{address} cannot be reached ({why}); check the server and the network")
    if cause == _FULL:
        return DiskFull(f"the server of {address} has no space left ({why}); free some there and run the command again")
    return _refused(cause, why, address)


def _refused(cause: int | None, why: str, address: str) -> JournalError:
    if cause == _NO_DATABASE:
        name = address.partition("?")[0].rpartition("/")[2]
        return JournalUnwritable(f"{address} does not exist ({why}); make it on its server: createdb {name}")
    if cause == _NO_ENTRY:
        return JournalUnwritable(
            f"{address} does not let us in ({why}); check the user, that it may log in, and its password (PGPASSWORD "
            "or ~/.pgpass)"
        )
    if cause == _NO_RIGHT:
        return JournalUnwritable(
            f"{address} refuses this ({why}); docs/scale-out.md names the rights that are needed, first of all USAGE "
            "on the schema uploader"
        )
    return JournalError(f"{address}: {why}")


def _cause(error: DBAPIError) -> int | None:
    """Return what an error comes from; None for what is none of these."""
    if code := getattr(error.orig, "sqlstate", None):
        found = next((cause for cause, codes in _CODES.items() if code.startswith(codes)), None)
        return _AWAY if error.connection_invalidated and found in {None, _NO_RIGHT, _FULL} else found
    if not (error.connection_invalidated or _is_operational(error)):
        return None
    said = str(error.orig)
    if _NO_SUCH_DATABASE.search(said):
        return _NO_DATABASE
    return _NO_ENTRY if any(words in said for words in _NO_ENTRY_SAID) else _AWAY


def _is_operational(error: DBAPIError) -> bool:
    return type(error.orig).__name__ in {"OperationalError", "ConnectionTimeout"}


def _first_line(cause: BaseException | None) -> str:
    """Return what the driver says; its further lines repeat the statement."""
    lines = str(cause).strip().splitlines()
    return lines[0] if lines else type(cause).__name__
