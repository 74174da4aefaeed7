"""The bytes of a node's checkpoints, as far as whoever drains the shared journal needs them.

They are those that a mirror has, too: the newest of each role, and those that trainings ended with; and of these the
ones that have not arrived anywhere they are to go.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from sqlalchemy import Connection, select, text

from journal.collecting import brought, pruned_there
from journal.errors import BlobMissing, from_os
from journal.folder import Journal
from journal.kinds import CHECKPOINT
from journal.mirror import journal_reader
from journal.mirror.layout import parse_blob
from journal.mirror.restoring import Restored, restore_checkpoints
from journal.mirror.stores import Listed
from journal.packs import contents
from journal.schema import tables

_B, _D = tables.blobs, tables.deliveries
_DOUBTED = (
    select(_B.c.sha256, _B.c.size)
    .distinct()
    .join(_D, _D.c.sha256 == _B.c.sha256)
    .where(_D.c.state.in_(("dead", "pending")), _D.c.last_error.is_not(None), _B.c.state == "present")
)
# The checkpoints of the runs of some sessions, by each event that tells of one.
_SAVED = text(
    f"""
    SELECT e.run_id, s.uuid AS session, e.seq, json_extract(e.payload, '$.sha256') AS sha256
    FROM events e JOIN sessions s ON s.id = e.session_id
    WHERE e.kind = '{CHECKPOINT}' AND json_valid(e.payload)
      AND e.run_id IN (SELECT run_id FROM sessions WHERE uuid IN (SELECT value FROM json_each(:sessions)))
    """  # noqa: S608 - a name of this package
)


class NodeBlobs:
    """The checkpoints of a node's journal, as a source to restore from (`journal.mirror.stores.Source`)."""

    def __init__(self, node: Journal) -> None:
        """Copy nothing yet."""
        self._node = node

    def get(self, name: str) -> bytes | None:
        """Return None: there are no small objects."""
        del name
        return None

    def get_file(self, name: str, target: Path) -> bool:
        """Write a checkpoint into a new file; return False when the node has evicted it."""
        try:
            source = self._node.local_blobs.path(parse_blob(name) or "").open("rb")
        except (BlobMissing, FileNotFoundError):
            return False
        with source:
            try:
                contents.write_durably(target, iter(lambda: source.read(contents.CHUNK), b""))
            except OSError as error:
                raise from_os(error, target) from error
        return True

    def list(self, prefix: str = "") -> Iterator[Listed]:
        """Yield nothing: what is wanted is known from the events."""
        del prefix
        return iter(())


def bring(node: Journal, outbox: Journal, runs: Collection[str], restored: Restored, whole: set[str]) -> None:
    """Bring the bytes that are needed and not there, and add what comes of it to `restored`.

    Args:
        node: Has them.
        outbox: The shared journal.
        runs: The node's runs whose checkpoints to look at.
        restored: What was brought so far.
        whole: Those that were found whole there although a drain failed to send them; more are added.

    Raises:
        BlobError: The store that keeps them cannot be used now.
        JournalError: One of the journals cannot be.
    """
    lacking = {sha256 for _, sha256 in _lacking(node, outbox, runs)}
    if absent := lacking | _lost(node, outbox, runs, whole):
        restore_checkpoints(outbox, NodeBlobs(node), sorted(absent), restored)


def superseded(node: Journal, runs: Collection[str], sha256s: Collection[str]) -> set[str]:
    """Return those that no run needs any more, as newer ones came in on the node meanwhile."""
    if not sha256s:
        return set()
    with node.begin(read_only=True) as connection:
        return {*sha256s} - {sha256 for _, sha256 in journal_reader.wanted_blobs(connection, runs)}


def waiting(node: Journal, outbox: Journal, runs: Collection[str], missing: Collection[str]) -> dict[str, set[str]]:
    """Return those whose events wait, by run: all that are not there of the runs that lack one that is needed.

    Among them are older ones, whose bytes nobody brings, as newer ones have superseded them on the node. Until these
    come in, one of those would be the newest, and a drain would look for its bytes.

    Args:
        node: Has them.
        outbox: The shared journal.
        runs: The node's runs whose checkpoints to look at.
        missing: Those that were not on the node: nothing waits for them, unless newer ones have superseded them since.
    """
    lacking = _lacking(node, outbox, runs)
    gone = {sha256 for _, sha256 in lacking}.intersection(missing)
    lack = {run for run, sha256 in lacking if sha256 not in gone}
    return {run: found - gone for run, found in _not_there(node, outbox, lack).items()}


def _not_there(node: Journal, outbox: Journal, runs: Collection[str]) -> dict[str, set[str]]:
    """Return all that runs have saved of which the bytes are not there and have not arrived, by run."""
    if not runs:
        return {}
    with node.begin(read_only=True) as connection:
        saved = {(run, one) for run in runs for one in journal_reader.saved_blobs(connection, [run]) if one}
    with outbox.begin(read_only=True) as connection:
        saved -= contents.arrived(connection, runs)
        there = _there(connection, {sha256 for _, sha256 in saved})
    return {run: {one for its, one in saved if its == run} - there for run in runs}


def _lacking(node: Journal, outbox: Journal, runs: Collection[str]) -> set[tuple[str, str]]:
    """Return those that are needed and not there, each with its run."""
    with node.begin(read_only=True) as connection:
        needed = _needed(connection, runs)
    if not needed:
        return set()
    with outbox.begin(read_only=True) as connection:
        needed -= contents.arrived(connection, runs)
        there = _there(connection, {sha256 for _, sha256 in needed})
        absent = {(run, sha256) for run, sha256 in needed if sha256 not in there}
        notes = brought.read(connection, brought.place(node)) if absent else {}
        pruned = pruned_there.pruned_through(connection, {run for run, _ in absent}, notes) if absent else {}
    return absent - _arrived_before(node, pruned)


def _arrived_before(node: Journal, pruned: Mapping[str, int]) -> set[tuple[str, str]]:
    """Return the checkpoints that have arrived and were pruned with all the events that tell of them."""
    if not pruned:
        return set()
    with node.begin(read_only=True) as connection:
        found = connection.execute(_SAVED, {"sessions": json.dumps([*pruned])}).all()
    later = {(row.run_id, row.sha256) for row in found if row.seq > pruned.get(row.session, 0)}
    return {(row.run_id, row.sha256) for row in found} - later


def _lost(node: Journal, outbox: Journal, runs: Collection[str], whole: set[str]) -> set[str]:
    """Return those that are gone or damaged where the shared journal keeps them, of those that drains failed to send.

    A person may have them sent again before they are brought, or afterwards.
    """
    if outbox.shared_blobs is None:
        return set()
    with outbox.begin(read_only=True) as connection:
        failed = {row.sha256: row.size for row in connection.execute(_DOUBTED.where(_D.c.run_id.in_(sorted(runs))))}
    if not failed:
        return set()
    with node.begin(read_only=True) as connection:
        needed = {sha256 for _, sha256 in _needed(connection, runs)}
    doubted = (needed & failed.keys()) - whole
    lost = {one for one in doubted if not outbox.shared_blobs.is_whole(one, failed[one])}
    whole |= doubted - lost
    return lost


def _needed(connection: Connection, runs: Collection[str]) -> set[tuple[str, str]]:
    return journal_reader.wanted_blobs(connection, runs) - contents.arrived(connection, runs)


def _there(connection: Connection, sha256s: Collection[str]) -> set[str]:
    query = select(_B.c.sha256).where(_B.c.sha256.in_(sorted(sha256s)), _B.c.state == "present")
    return set(connection.execute(query).scalars())
