"""Examining a shared journal: all checks, none of which changes anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, text

from journal.doctor import shared_checks
from journal.doctor.delivery_checks import check_held_up, check_reached, check_read_back, check_refused
from journal.doctor.examination import Examination
from journal.doctor.findings import Finding, some, trouble
from journal.errors import BlobsUnavailable, JournalAway, JournalError, NewerJournal, NoJournal
from journal.folder import Journal
from journal.next_steps import next_command
from journal.opening import open_shared
from journal.quantities import count
from journal.shared_addresses import as_path, without_password

_EVENTS = text("SELECT count(*) FROM events")
_BLOBS = text("SELECT count(*) FROM blobs WHERE state = 'present'")
_CODES = {JournalAway: "journal-unreachable", NewerJournal: "journal-newer", NoJournal: "no-journal"}


class _Asked:
    """A connection, as the checks of a journal in a file ask it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def execute(self, query: str) -> Any:
        """Return the rows."""
        return self._connection.exec_driver_sql(query.replace("%", "%%"))


def examine_shared(url: str) -> Examination:
    """Examine a shared journal without changing it; it may be in use.

    Args:
        url: Its URL.
    """
    address = without_password(url)
    try:
        with open_shared(url, make=False) as opened:
            return _examination(opened)
    except JournalError as error:
        code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), "journal-unusable")
        return Examination(as_path(address), 0, 0, 0, (_in_the_way(code, str(error)),))


def _in_the_way(code: str, why: str) -> Finding:
    """Return the finding that the journal cannot be opened: most errors end with their next step."""
    detail, _, step = why.rpartition("; ")
    return trouble(code, detail, f"{step[:1].upper()}{step[1:]}.") if detail else trouble(code, why, _STEP)


_STEP = "Mend what this names; docs/scale-out.md tells what a shared journal needs."


def _examination(opened: Journal) -> Examination:
    with opened.begin(read_only=True) as connection:
        events, blobs = (connection.execute(each).scalar_one() for each in (_EVENTS, _BLOBS))
        needed = shared_checks.needed_blobs(connection)
        findings = [*_checks(connection, opened)]
    findings += _check_blobs(opened, needed)
    return Examination(opened.place, events, blobs, opened.size().total, tuple(findings))


def _checks(connection: Connection, opened: Journal) -> Iterator[Finding]:
    asked, now = _Asked(connection), opened.now(connection)
    yield from shared_checks.check_server(connection)
    yield from shared_checks.check_rights(connection)
    yield from shared_checks.check_clock(connection)
    yield from shared_checks.check_others(connection)
    yield from shared_checks.check_drains(connection, now, opened.address)
    yield from check_refused(asked, opened.place)
    yield from check_held_up(asked, opened.place)
    yield from check_read_back(asked, opened.place)
    yield from check_reached(asked, opened.place)
    yield from shared_checks.check_routes(connection, opened.address)


def _check_blobs(opened: Journal, needed: list[str]) -> Iterator[Finding]:
    """Look whether the checkpoints that are still to be delivered are where the journal keeps them."""
    if not needed:
        return
    try:
        gone = sorted({*needed} - {*opened.blobs.names()})
    except BlobsUnavailable as error:
        yield trouble("blobs-unreachable", f"the checkpoints cannot be looked at: {error}", _REACH)
        return
    if gone:
        retry = f"`{next_command('retry ID', opened.place)}`"
        detail = f"the bytes of {count(len(gone), 'checkpoint')} are gone that are still to be delivered: {some(gone)}"
        step = f"`collect` brings them again from a node that still has them, then {retry}."
        yield trouble("blobs-missing", detail, step)


_REACH = "Check the bucket or the mount, and this machine's credentials for it."
