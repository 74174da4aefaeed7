"""What platforms refused: it waits for a person, and so a journal that holds it is not healthy."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from journal.doctor.findings import Finding, some, trouble
from journal.next_steps import next_command
from journal.quantities import count

_DEAD = """
    SELECT d.id, d.kind, r.name, coalesce(d.last_error, 'no reason given')
    FROM deliveries d JOIN runs r ON r.id = d.run_id WHERE d.state = 'dead' ORDER BY d.id"""
_BLOCKED = """
    SELECT r.name, r.id, d.base_url, coalesce(t.reason, 'no reason given')
    FROM targets t JOIN runs r ON r.id = t.run_id JOIN destinations d ON d.id = t.destination_id
    WHERE t.state = 'blocked' AND t.dropped_at IS NULL ORDER BY r.created_at"""


def check_refused(connection: sqlite3.Connection, folder: Path) -> Iterator[Finding]:
    """Look for dead letters, and for runs that a platform refused as a whole.

    Args:
        connection: The journal's database, also one of an earlier schema.
        folder: The journal.
    """
    retry, drop = (f"`{next_command(words, folder)}`" for words in ("retry ID", "drop ID"))
    if dead := _rows(connection, _DEAD):
        which = some([f"{number} ({kind} of {run}): {why}" for number, kind, run, why in dead])
        advice = f"Put the cause right, then {retry}; {drop} gives one up for good."
        yield trouble("dead-letters", f"refused for good: {count(len(dead), 'dead letter')}: {which}", advice)
    if blocked := _rows(connection, _BLOCKED):
        which = some([f"{run} ({run_id}) by {url}: {why}" for run, run_id, url, why in blocked])
        route = next_command("route RUN --project P", folder)
        advice = f"Put the cause right, then `{next_command('retry RUN', folder)}`; `{route}` names another project."
        yield trouble("run-refused", f"refused as a whole: {count(len(blocked), 'run')}: {which}", advice)


def _rows(connection: sqlite3.Connection, query: str) -> list[tuple[object, ...]]:
    with suppress(sqlite3.OperationalError):  # a column that an earlier schema has not got
        return connection.execute(query).fetchall()
    return []
