"""Turning recovered rows into a consistent journal: references, claims, and a list of what was lost or changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field

from journal.clock import now_text
from journal.doctor.row_checks import damaged_deliveries
from journal.quantities import count

_BLOCKED = "what the platform calls this run was lost in a damaged journal; sending it again might double it"
_DAMAGED = "its bytes were damaged on this disk; the events that it was made from are in the journal"

# Each step, the noun for a row that it affects, and what that means for a person ("" where it is not reported). The
# order matters: rows without valid JSON are deleted first, then missing rows are recreated from the rows that refer to
# them.
_STEPS = (
    ("DELETE FROM targets WHERE NOT json_valid(ids)", "", ""),
    ("UPDATE deliveries SET receipt = NULL WHERE receipt IS NOT NULL AND NOT json_valid(receipt)", "", ""),
    (
        """INSERT INTO runs (id, name, save_dir, created_at)
           SELECT run_id, 'recovered', '', min(created_at) FROM events
           WHERE run_id NOT IN (SELECT id FROM runs) GROUP BY run_id""",
        "run",
        "known by events only, called `recovered`",
    ),
    (
        """INSERT INTO sessions (id, run_id, pid, host, boot_id, started_at, heartbeat_at)
           SELECT session_id, run_id, 0, '', '', min(created_at), max(created_at) FROM events
           WHERE session_id NOT IN (SELECT id FROM sessions) GROUP BY session_id""",
        "",
        "",
    ),
    (
        f"""INSERT INTO targets (run_id, destination_id, state, reason, ids, planned_through, stage, last_upload_at)
            SELECT run_id, destination_id, 'blocked', '{_BLOCKED}', '{{}}', max(last_event), max(stage), :now
            FROM deliveries d WHERE NOT EXISTS (SELECT 1 FROM targets t
              WHERE t.run_id = d.run_id AND t.destination_id = d.destination_id)
            GROUP BY run_id, destination_id""",
        "run",
        "whose ids from the platform are lost, blocked instead of sent anew",
    ),
    ("UPDATE deliveries SET state = 'pending', owner = NULL, lease_until = NULL WHERE state = 'claimed'", "", ""),
)


@dataclass
class Rebuilt:
    """What rebuilding did, in words.

    Attributes:
        lost: Rows that are not in the new journal.
        changed: Rows that were changed.
    """

    lost: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)


def rebuild(connection: sqlite3.Connection, newest_event: int) -> Rebuilt:
    """Make the rows consistent again, and return what was lost or changed.

    Args:
        connection: In a transaction, without foreign keys.
        newest_event: The highest event id that was ever assigned, as far as it is known.
    """
    rebuilt = Rebuilt()
    unreadable = connection.execute("DELETE FROM events WHERE NOT json_valid(payload)").rowcount
    if unreadable:
        rebuilt.lost.append(f"{count(unreadable, 'event')} with a payload that is no JSON")
    for statement, noun, meaning in _STEPS:
        changed = connection.execute(statement, {"now": now_text()} if ":now" in statement else {}).rowcount
        if changed and noun:
            rebuilt.changed.append(f"{count(changed, noun)} {meaning}")
    rebuilt.lost += _drop_orphans(connection)
    rebuilt.changed += _set_damaged_aside(connection)
    _keep_event_ids(connection, newest_event)
    return rebuilt


def _drop_orphans(connection: sqlite3.Connection) -> Iterator[str]:
    """Delete rows that refer to missing ones, until there are none."""
    while orphans := connection.execute("PRAGMA foreign_key_check").fetchall():
        for table, rowid, *_ in orphans:
            connection.execute(f"DELETE FROM {table} WHERE rowid = ?", (rowid,))
        for table in sorted({row[0] for row in orphans}):
            yield f"{count(sum(row[0] == table for row in orphans), 'row')} of {table} with a reference to what is lost"


def _set_damaged_aside(connection: sqlite3.Connection) -> Iterator[str]:
    damaged = damaged_deliveries(connection)
    for delivery in damaged:
        connection.execute(
            "UPDATE deliveries SET state = 'dead', last_error = ?, settled_at = ? WHERE id = ?",
            (_DAMAGED, now_text(), delivery),
        )
    if damaged:
        yield f"{count(len(damaged), 'delivery')} with a damaged body, now a dead letter"


def _keep_event_ids(connection: sqlite3.Connection, newest_event: int) -> None:
    """Make sure that no id is assigned again: planning that is past it would never see the new event."""
    seen = connection.execute("SELECT max(planned_through) FROM targets UNION ALL SELECT max(id) FROM events")
    newest = max(newest_event, *(row[0] or 0 for row in seen))
    connection.execute("DELETE FROM sqlite_sequence WHERE name = 'events'")
    connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('events', ?)", (newest,))
