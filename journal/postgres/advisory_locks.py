"""The advisory locks of a shared journal, which last until a transaction's end.

A database has one space of them for all its users, so the first number of each tells that it is ours.
See https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS.
"""

from __future__ import annotations

from sqlalchemy import text

EVENTS_OF_RUN = 0x55504C4A  # "UPLJ"
"""Taken by the trigger `place_event`, with a hash of the run's id, before an event is given an id."""
_JOURNAL = EVENTS_OF_RUN + 1
_SCHEMA = EVENTS_OF_RUN + 2

ALONE = text(f"SELECT pg_advisory_xact_lock({_JOURNAL}, 0)")
"""Waits until nobody else writes to the journal, and keeps it so."""
AMONG_OTHERS = text(f"SELECT pg_advisory_xact_lock_shared({_JOURNAL}, 0)")
"""Waits until nobody writes `ALONE`, and lets nobody begin to."""
MIGRATION = text(f"SELECT pg_advisory_xact_lock({_SCHEMA}, 0)")
"""Waits until nobody else makes or changes the tables."""
