"""What may be wrong with a shared journal: its server, our rights there, who is in the way, what nobody works on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from journal.clock import to_text, to_the_second, utc_now
from journal.doctor.findings import Finding, notice, some, trouble
from journal.next_steps import next_command
from journal.quantities import count
from journal.reading.drain_at_work import drain_told
from journal.reading.drains_at_work import SILENT, drains_at_work
from journal.schema.plausible_times import SKEW
from journal.shared_addresses import as_path

OLDEST_SERVER = 15
_RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")
_NOTICED = timedelta(seconds=2)
"""A clock that differs by less is as good as the way to it can tell."""
_LONG = timedelta(minutes=5)
_IDLE = timedelta(hours=1)
_MANY_IDLE = 20
_FULL = 0.9
_LEFT = timedelta(minutes=10)
"""A lease that is over for so long would have been taken by any drain at work."""

_SERVER = text("SELECT CAST(current_setting('server_version_num') AS INTEGER), current_setting('server_version')")
_IS_READ_ONLY = text("SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on'")
_LACKING = text(
    """
    SELECT t.tablename, r.name
    FROM pg_tables t CROSS JOIN unnest(CAST(:rights AS TEXT[])) WITH ORDINALITY AS r(name, place)
    WHERE t.schemaname = 'uploader'
      AND NOT has_table_privilege(format('%I.%I', t.schemaname, t.tablename), r.name)
    ORDER BY t.tablename, r.place
    """
)
_NOW = text("SELECT clock_timestamp()")
_LONG_TRANSACTIONS = text(
    """
    SELECT pid, coalesce(nullif(application_name, ''), usename, '?') AS who, state, xact_start
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid != pg_backend_pid() AND xact_start < :before ORDER BY xact_start
    """
)
_WAITING = text(
    """
    SELECT pid, pg_blocking_pids(pid) AS by FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND query_start < :before ORDER BY query_start
    """
)
_CONNECTIONS = text(
    """
    SELECT count(*) AS all_of_them, CAST(current_setting('max_connections') AS INTEGER) AS most,
           count(CASE WHEN application_name = 'uploader' AND state = 'idle' AND state_change < :before
                       AND datname = current_database() THEN 1 END) AS idle
    FROM pg_stat_activity WHERE backend_type = 'client backend'
    """
)
_EXPIRED = text("SELECT count(*), min(lease_until) FROM deliveries WHERE state = 'claimed' AND lease_until < :before")
_HELD = text("SELECT max(lease_until) FROM deliveries WHERE state = 'claimed' AND lease_until > :now")
_SILENT = text("SELECT * FROM drains WHERE heartbeat_at < :before ORDER BY heartbeat_at")
_NOWHERE = text(
    """
    SELECT r.name FROM runs r WHERE NOT EXISTS (SELECT 1 FROM targets t WHERE t.run_id = r.id)
      AND EXISTS (SELECT 1 FROM events e WHERE e.run_id = r.id) ORDER BY r.rowid
    """
)
_WAITS = text("SELECT EXISTS (SELECT 1 FROM deliveries WHERE state IN ('pending', 'claimed'))")
_NEEDED = text(
    """
    SELECT DISTINCT d.sha256 FROM deliveries d JOIN blobs b ON b.sha256 = d.sha256
    WHERE d.state IN ('pending', 'claimed') AND b.state = 'present' ORDER BY d.sha256
    """
)


def check_server(connection: Connection) -> Iterator[Finding]:
    """Check the version of the server, and how full it is."""
    number, name = connection.execute(_SERVER).one()
    if number < OLDEST_SERVER * 10_000:
        detail = f"the server is PostgreSQL {name}, and a shared journal needs {OLDEST_SERVER} or later"
        yield trouble("server-old", detail, "Upgrade the server.")
    if connection.execute(_IS_READ_ONLY).scalar_one():
        detail = "the server is a standby, or this database is read-only: nothing can be collected into it, or drained"
        yield trouble("server-read-only", detail, "Name the primary server, or have the database take writes.")
    found = connection.execute(_CONNECTIONS, {"before": utc_now() - _IDLE}).one()
    if found.all_of_them > _FULL * found.most:
        detail = f"{found.all_of_them} of {found.most} connections of the server are in use"
        yield trouble("connections-full", detail, "Raise max_connections, or put a pooler in session mode before it.")
    if found.idle > _MANY_IDLE:
        detail = f"{count(found.idle, 'connection')} of ours were not used for an hour or more"
        step = "Processes that hang on machines that are away keep them; `pg_terminate_backend` ends them."
        yield notice("connections-idle", detail, step)


def check_rights(connection: Connection) -> Iterator[Finding]:
    """Check what this user may do with the tables."""
    lacking: dict[str, list[str]] = {}
    for table, right in connection.execute(_LACKING, {"rights": list(_RIGHTS)}):
        lacking.setdefault(right, []).append(table)
    if not lacking:
        return
    step = "docs/scale-out.md names the rights that are needed."
    if set(lacking) == {*_RIGHTS[1:]} and len({tuple(tables) for tables in lacking.values()}) == 1:
        yield notice("read-only", "this user may look at the journal, and not write to it", step)
        return
    missing = "; ".join(f"{right} on {some(tables)}" for right, tables in lacking.items())
    yield trouble("rights-missing", f"this user lacks rights: {missing}", step)


def check_clock(connection: Connection) -> Iterator[Finding]:
    """Compare this machine's clock with the server's, by which leases end."""
    before, began = utc_now(), time.monotonic()
    there: datetime = connection.execute(_NOW).scalar_one()
    way = timedelta(seconds=time.monotonic() - began)
    ahead = before + way / 2 - there
    if abs(ahead) - way / 2 <= _NOTICED:
        return
    word = "ahead of" if ahead > timedelta(0) else "behind"
    detail = f"this machine's clock is {abs(ahead).total_seconds():.0f} s {word} the server's"
    step = "Have both set theirs by NTP. Drains go by the server's; what is recorded here has this machine's times."
    yield trouble("clocks-differ", detail, step) if abs(ahead) > SKEW else notice("clocks-differ", detail, step)


def check_others(connection: Connection) -> Iterator[Finding]:
    """Look for transactions that others keep open, and for whoever waits for a lock."""
    before = utc_now() - _LONG
    if rows := connection.execute(_LONG_TRANSACTIONS, {"before": before}).all():
        which = some([f"{row.who} (process {row.pid}), {row.state}, since {to_text(row.xact_start)}" for row in rows])
        step = "They keep the server from clearing up what was deleted; `SELECT pg_terminate_backend(PID)` ends one."
        yield notice("transactions-long", f"transactions that are open for long: {which}", step)
    if rows := connection.execute(_WAITING, {"before": before}).all():
        which = some([f"process {row.pid} for {', '.join(map(str, row.by))}" for row in rows])
        yield trouble("locks-waited-for", f"waiting for a lock for long: {which}", "End the process that holds it.")


def check_drains(connection: Connection, now: datetime, address: str) -> Iterator[Finding]:
    """Look for drains that died, and for what no drain works on.

    Args:
        connection: The journal's.
        now: The server's time.
        address: The journal's.
    """
    drain = f"`{next_command('drain --watch', as_path(address))}`"
    silent = [(row, drain_told(row.told)) for row in connection.execute(_SILENT, {"before": to_text(now - SILENT)})]
    if silent:
        which = some(
            [
                f"{told.in_words if told else row.id}, last heard of at {to_the_second(row.heartbeat_at)}"
                for row, told in silent
            ]
        )
        step = "Others have taken over what it had claimed. Look there whether it was killed, or lost the network."
        yield notice("drains-silent", f"drains that ended without a word: {which}", step)
    number, oldest = connection.execute(_EXPIRED, {"before": to_text(now - _LEFT)}).one()
    if number:
        detail = f"{count(number, 'delivery')} claimed by drains that are gone, since {to_the_second(oldest)}"
        yield notice("claims-left", detail, f"{drain} goes on with them.")
    if connection.execute(_WAITS).scalar_one() and not drains_at_work(connection, now):
        until = connection.execute(_HELD, {"now": to_text(now)}).scalar_one()
        held = f" What a drain had claimed that is gone goes from {to_the_second(until)} on." if until else ""
        yield notice(
            "no-drain", "something waits to be delivered, and no drain is at work", f"{drain} delivers it.{held}"
        )


def check_routes(connection: Connection, address: str) -> Iterator[Finding]:
    """Look for runs that have events and go nowhere."""
    if names := list(connection.execute(_NOWHERE).scalars()):
        detail = f"{count(len(names), 'run')} with events that go nowhere yet: {some(names)}"
        step = f"`{next_command('drain', as_path(address))}` sends them where its settings say."
        yield notice("runs-nowhere", detail, step)


def needed_blobs(connection: Connection) -> list[str]:
    """Return the sha256 of the checkpoints that are still to be delivered, and that are said to be there."""
    return list(connection.execute(_NEEDED).scalars())
