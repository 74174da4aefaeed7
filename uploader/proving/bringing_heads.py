"""Brings the heads of a node's runs, signed by its key, into a shared journal, whose drains tell them to platforms.

Who drains has not the key of who trained, and would vouch for nothing. What platforms have countersigned comes back, so
that proofs of the node hold it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from journal.folder import Journal
from journal.outbox import brought_heads
from journal.outbox.brought_heads import Milestones, ToldThere
from uploader.proof.signers import Signers
from uploader.proving.signing_heads import merged, sign_heads, signers_here

EVERY_SECONDS = 30.0
_COST = 20
"""It takes one part in so many of the time at most: signing reads all events of a run."""


class BringingHeads:
    """Brings the heads of one node's runs. One thread owns it."""

    def __init__(self, node: Journal, outbox: Journal, clock: Callable[[], float] = time.monotonic) -> None:
        """Bring nothing yet.

        Args:
            node: The node's journal; it stays the caller's, as does the other.
            outbox: The shared one.
            clock: Seconds; never goes back.
        """
        self._node = node
        self._outbox = outbox
        self._clock = clock
        self._due = clock()
        self._brought: dict[str, Milestones] = {}
        self._learned: frozenset[ToldThere] = frozenset()

    def step(self, runs: Collection[str], through: Mapping[str, int], *, is_last: bool = False) -> None:
        """Bring the heads of runs in which something came to an end since the last time, and learn what became of them.

        Args:
            runs: The uuids of the runs that are wanted.
            through: The number of the last event of each session that is in the shared journal, by its uuid.
            is_last: Whether to do so in any case, and not only now and then.

        Raises:
            JournalError: One of the journals cannot be used now.
        """
        began = self._clock()
        if not is_last and began < self._due:
            return
        with self._node.begin(read_only=True) as connection:
            found = brought_heads.milestones(connection)
        chosen = {run: one for run, one in found.items() if run in runs}
        if chosen:
            self._bring(chosen, through)
            self._learn(chosen)
        self._due = self._clock() + max(EVERY_SECONDS, _COST * (self._clock() - began))

    def _bring(self, found: Mapping[str, Milestones], through: Mapping[str, int]) -> None:
        """Bring the heads of those runs that have more events than this key has signed there."""
        new = {run: one for run, one in found.items() if not one.is_as(self._brought.get(run))}
        signs = signers_here(self._node) if new else None
        if signs is None or not signs.key:
            return
        with self._outbox.begin(read_only=True) as connection:
            there = brought_heads.brought_heads(connection, new)
        for run, one in new.items():
            is_there = _events_signed(there.get(run), signs) >= one.events
            if is_there or self._bring_run(run, signs, through) == one.events:
                self._brought[run] = one

    def _bring_run(self, run: str, signs: Signers, through: Mapping[str, int]) -> int:
        """Bring the heads of one run; return how many events they are of."""
        heads = sign_heads(self._node, run, signs, through)
        if heads is None:
            return 0
        with self._outbox.begin() as connection:
            known = brought_heads.brought_heads(connection, [run]).get(run)
            brought_heads.store_brought(connection, run, merged(known, heads))
        return heads.events

    def _learn(self, runs: Iterable[str]) -> None:
        with self._outbox.begin(read_only=True) as connection:
            told = frozenset(brought_heads.told_there(connection, [*runs]))
        if new := told - self._learned:
            with self._node.begin() as connection:
                brought_heads.learn(connection, new)
        self._learned = told


def _events_signed(brought: Mapping[str, Any] | None, signs: Signers) -> int:
    """Return how many events of a run the heads are of that this key has signed."""
    return int(brought["events"].get(str(signs.key), 0)) if brought else 0
