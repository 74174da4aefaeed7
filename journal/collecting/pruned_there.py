"""What the shared journal has pruned of a node's sessions: it is there no more because it has arrived.

Of a run that was pruned its sessions stay, so one that is not there is new, as of a training that was resumed later.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from sqlalchemy import Connection, case, func, select

from journal.collecting.brought import Note
from journal.collecting.node_events import LAST
from journal.outbox.run_results import Results, TargetResults
from journal.retention import prunable
from journal.schema import tables
from journal.sessions.identity import TWIN

_E = tables.events
_S = tables.sessions


def pruned_through(connection: Connection, runs: Collection[str], notes: Mapping[str, Note]) -> dict[str, int]:
    """Return up to which number the events of each session were pruned, of the sessions of which any were.

    Args:
        connection: To the shared journal.
        runs: Of these runs.
        notes: How far the node's sessions were brought; of one without a note nobody knows more than that it was.
    """
    pruned = prunable.pruned(connection).intersection(runs)
    found = connection.execute(select(_S.c.uuid).where(_S.c.run_id.in_(sorted(pruned)))).scalars() if pruned else ()
    return {uuid: notes[uuid].last if uuid in notes else LAST for uuid in found}


def with_pruned(connection: Connection, results: Results, through: Mapping[str, int]) -> Results:
    """Return the results of a run for a node, with what was pruned as what was looked at, where it has arrived.

    The node still has it, so a run that was pruned from the shared journal does not become one that was pruned there.

    Args:
        connection: To the shared journal.
        results: Read from that.
        through: The number of the last event of each session of the node that was brought.
    """
    if not any(map(_is_pruned, results.targets)):
        return results
    gone = _gone(connection, results.run.id, through)
    return replace(results, targets=tuple(_kept(one, gone) if _is_pruned(one) else one for one in results.targets))


def _is_pruned(target: TargetResults) -> bool:
    """Return whether what a target began with was pruned, as `prunable.pruned` knows it."""
    return target.stage > 0 and all(one.stage > 1 for one in target.deliveries)


def _gone(connection: Connection, run_id: str, through: Mapping[str, int]) -> dict[str, int]:
    """Return up to which number the events of each session of the node are there no more."""
    session = case((_S.c.purpose == TWIN, _S.c.parent), else_=_S.c.uuid)
    first = select(session, func.min(_E.c.seq)).outerjoin(_E, _E.c.session_id == _S.c.id).group_by(session)
    found = connection.execute(first.where(_S.c.run_id == run_id))
    return {uuid: min(through[uuid], (kept or LAST) - 1) for uuid, kept in found if uuid in through}


def _kept(target: TargetResults, gone: Mapping[str, int]) -> TargetResults:
    """Return what became of a run that its node has: of one that was given up, what was pruned may not have arrived."""
    has_arrived = target.state == "registered" and target.dropped_at is None
    ranges = {uuid: [[1, last]] for uuid, last in gone.items() if last > 0 and has_arrived}
    planned = {uuid: [*ranges.get(uuid, ()), *target.planned.get(uuid, ())] for uuid in {*ranges, *target.planned}}
    return replace(target, planned=planned, stage=0)
