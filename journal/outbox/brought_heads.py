"""Heads of runs that `collect` brings into a shared journal as a node has signed them, and what platforms have of them.

They are kept in `facts`, beside what `head_notes.py` keeps there, and are as opaque here.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from journal.kinds import CHECKPOINT
from journal.outbox import targets
from journal.outbox.head_notes import DUE, NAME, SIGNED, parsed, store

_BROUGHT = f"{NAME} brought"
_VALUE = text("SELECT value FROM facts WHERE name = :name")
_OF_RUNS = text(
    """
    SELECT r.value AS run_id, f.value AS heads
    FROM json_each(:runs) r JOIN facts f ON f.name = CAST(:name AS TEXT) || ' ' || r.value
    """
).bindparams(name=_BROUGHT)
_NOTE_DUE = text(
    """
    INSERT INTO facts SELECT CAST(:due AS TEXT) || ' ' || destination_id || ' ' || run_id, :token FROM targets
    WHERE run_id = :run AND state = 'registered' AND dropped_at IS NULL
    ON CONFLICT (name) DO UPDATE SET value = excluded.value
    """
).bindparams(due=DUE)
_MILESTONES = text(
    f"""
    SELECT s.run_id, count(s.ended_at) AS ended,
           (SELECT count(*) FROM events e WHERE e.run_id = s.run_id AND e.kind = '{CHECKPOINT}') AS checkpoints,
           sum((SELECT coalesce(max(e.seq), 0) FROM events e WHERE e.session_id = s.id)) AS events
    FROM sessions s GROUP BY s.run_id
    """  # noqa: S608 - a name of this package
)
_TOLD = text(
    """
    SELECT r.value AS run_id, d.platform, d.base_url, kept.value AS kept, signed.value AS signed
    FROM json_each(:runs) r CROSS JOIN destinations d
    JOIN facts signed ON signed.name = CAST(:signed AS TEXT) || ' ' || r.value || ' ' || d.id
    LEFT JOIN facts kept ON kept.name = CAST(:kept AS TEXT) || ' ' || r.value || ' ' || d.id
    """
).bindparams(kept=NAME, signed=SIGNED)


class Milestones(NamedTuple):
    """What tells that the heads of a run are worth telling again.

    Attributes:
        ended: How many of its sessions have ended.
        checkpoints: How many checkpoints it has.
        events: The numbers of its sessions' last events, added up.
    """

    ended: int
    checkpoints: int
    events: int

    def is_as(self, before: Milestones | None) -> bool:
        """Return whether no session has ended since, and no checkpoint came."""
        return before is not None and before[:2] == self[:2]


class ToldThere(NamedTuple):
    """What a platform has of a run's heads.

    Attributes:
        run: Uuid of the run.
        platform: Name of the platform's API.
        base_url: Its address.
        kept: What it has countersigned, as JSON; None if nothing.
        signed: How much of the run it has a signed head of, as JSON.
    """

    run: str
    platform: str
    base_url: str
    kept: str | None
    signed: str


def milestones(connection: Connection) -> dict[str, Milestones]:
    """Return those of each run of which heads may be told, that of a training that has just begun not."""
    found = {row.run_id: Milestones(row.ended, row.checkpoints, row.events) for row in connection.execute(_MILESTONES)}
    return {run: one for run, one in found.items() if one.ended or one.checkpoints}


def brought_heads(connection: Connection, runs: Collection[str]) -> dict[str, Mapping[str, Any]]:
    """Return the heads that were brought of runs, of those that have any."""
    rows = connection.execute(_OF_RUNS, {"runs": json.dumps([*runs])})
    return {row.run_id: found for row in rows if isinstance(found := parsed(row.heads), dict)}


def store_brought(connection: Connection, run: str, value: Mapping[str, Any]) -> None:
    """Keep the heads of a run, and note that each platform that knows it is to be told."""
    store(connection, f"{_BROUGHT} {run}", value)
    connection.execute(_NOTE_DUE, {"run": run, "token": str(uuid.uuid4())})


def told_there(connection: Connection, runs: Collection[str]) -> list[ToldThere]:
    """Return what platforms have of the heads of runs."""
    return [ToldThere(*row) for row in connection.execute(_TOLD, {"runs": json.dumps([*runs])})]


def learn(connection: Connection, told: Iterable[ToldThere]) -> None:
    """Keep what platforms have of the heads of runs, where this journal knows of no more."""
    for one in told:
        destination = targets.add_destination(connection, one.platform, one.base_url).id
        here = connection.execute(_VALUE, {"name": f"{SIGNED} {one.run} {destination}"}).scalar()
        if here is not None and _extent(here) > _extent(one.signed):
            continue
        for name, value in ((SIGNED, one.signed), (NAME, one.kept)):
            if value is not None:
                store(connection, f"{name} {one.run} {destination}", parsed(value))


def _extent(signed: str) -> tuple[int, int]:
    """Return how much of a run is countersigned, and signed."""
    found = parsed(signed)
    values = [found.get(name) if isinstance(found, dict) else None for name in ("countersigned", "events")]
    countersigned, events = (one if isinstance(one, int) else 0 for one in values)
    return countersigned, events
