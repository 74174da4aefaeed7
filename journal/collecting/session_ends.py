"""How far a node's sessions are, told to a shared journal: drains see by it which trainings are at work.

That a session has ended is told last. What it recorded may still wait for the bytes of a checkpoint; and of a session
that is over, nobody waits for more: `wait` says that it has arrived, and `prune` deletes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Row

from journal.collecting import node_events
from journal.folder import Journal
from journal.mirror.journal_reader import JournalReader
from journal.outbox import results_intake
from journal.outbox.run_results import SessionEnd


class SessionEnds:
    """What was told of one node's sessions. Whoever collects them owns it."""

    def __init__(self) -> None:
        """Nothing was told yet."""
        self._told: dict[str, SessionEnd] = {}

    def are_told(self, sessions: Sequence[Row[Any]]) -> bool:
        """Return whether all that is known of sessions was told."""
        return self._told == {one.uuid: _end(one) for one in sessions}

    def tell(
        self,
        reader: JournalReader,
        outbox: Journal,
        sessions: Sequence[Row[Any]],
        through: Mapping[str, int],
        newest: int,
    ) -> None:
        """Tell how far sessions are, where that has changed.

        Args:
            reader: Of the node's journal.
            outbox: The shared one.
            sessions: All of the node's that are wanted.
            through: The number of the last event of each that is there, by its uuid.
            newest: The id of the node's last event that was looked at.
        """
        new = [one for one in sessions if self._told.get(one.uuid) != _end(one)]
        lasts = node_events.lasts(reader, [one.id for one in new if one.ended_at is not None])
        told = {one.uuid: _end(one) for one in sessions}
        for one in new:
            seq, id_ = lasts.get(one.id, (0, 0))
            if seq > through.get(one.uuid, 0) or id_ > newest:
                told[one.uuid] = replace(told[one.uuid], ended_at=None, outcome=None)
        changed = [end for uuid, end in told.items() if self._told.get(uuid) != end]
        if changed:
            with outbox.begin(concurrent=True) as connection:  # a hundred nodes do so twice a minute
                results_intake.take_ends(connection, changed)
        self._told = told


def _end(session: Row[Any]) -> SessionEnd:
    return SessionEnd(session.uuid, session.heartbeat_at, session.ended_at, session.outcome)
