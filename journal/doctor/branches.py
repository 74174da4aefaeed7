"""What went on in two places at once, and events that have one number."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from journal.doctor.findings import Finding, notice, some
from journal.doctor.row_checks import tells_identities
from journal.quantities import count
from journal.sessions.identity import TWIN

_FORKS = """
    SELECT r.name, s.run_id, s.generation, group_concat(s.host, ' and ') AS hosts
    FROM sessions s JOIN runs r ON r.id = s.run_id
    WHERE s.purpose IS NULL GROUP BY s.run_id, s.generation HAVING count(*) > 1 ORDER BY r.created_at, s.generation
"""


def check_branches(connection: sqlite3.Connection) -> Iterator[Finding]:
    """Name the runs that two machines, or two copies of a folder, went on with at once.

    Args:
        connection: The journal's database.
    """
    if not tells_identities(connection):
        return
    forks = [f"{name} ({run_id}) on {hosts}" for name, run_id, _, hosts in connection.execute(_FORKS)]
    if forks:
        detail = f"two sessions went on with one run at once: {some(forks)}"
        advice = "All of their events are kept; where both tell of the same epoch, the one that is further is shown."
        yield notice("run-forked", detail, advice)
    twins = connection.execute("SELECT count(*) FROM sessions WHERE purpose = ?", (TWIN,)).fetchone()[0]
    if twins:
        detail = f"events with numbers that other events have, too, are kept in {count(twins, 'session')} beside"
        yield notice("numbers-twice", detail, "A machine was set back to a snapshot while it trained: look into both.")
