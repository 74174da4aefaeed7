"""What the shared journal has pruned of a node's sessions: it is there no more because it has arrived.

Of a run that was pruned its sessions stay, so one that is not there is new, as of a training that was resumed later.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, select

from journal.collecting.brought import Note
from journal.collecting.node_events import LAST
from journal.retention import prunable
from journal.schema import tables

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
