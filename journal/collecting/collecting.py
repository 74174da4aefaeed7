"""Brings what a node's journal holds into a shared one, over and over, as it is written.

Everything goes in by its identity, so it may be done again, by several at once, and of copies: nothing is doubled. In
each step the shared journal is asked how far this node's sessions were brought (`brought.py`): what is known here
belongs to a server that may since have been restored, or replaced by another that is behind.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Row

from journal.collecting import brought, checkpoint_bytes, exchange, node_events, pruned_there
from journal.collecting.brought import Note, Reached
from journal.collecting.exchange import Telling
from journal.collecting.session_ends import SessionEnds
from journal.errors import BlobError
from journal.folder import Journal
from journal.mirror import needed_checkpoints
from journal.mirror.journal_reader import JournalReader
from journal.mirror.restoring import Restored
from journal.sessions.identity import ENTRY_FIELDS, Entry
from journal.writing import fallback_intake

RECEIPTS_SECONDS = 30.0
"""How often a node is told what has arrived."""
_COST = 20
"""That may take a 20th of the time at most."""


@dataclass
class Collected:
    """What a step came to.

    Attributes:
        runs: Uuids of the runs that were looked at.
        events: How many events were new to the shared journal.
        checkpoints: How many checkpoints were.
        bytes: The size of these.
        missing: Checkpoints that a run needs and nobody has any more, by sha256.
        refused: In words, what of the node's results does not fit, and the runs that are another model there than here.
        learned: How many runs the node has learned something of that has arrived.
    """

    runs: Sequence[str] = ()
    events: int = 0
    checkpoints: int = 0
    bytes: int = 0
    missing: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    learned: int = 0

    def plus(self, later: Collected) -> Collected:
        """Return what this and a later step came to together."""
        return Collected(
            list(dict.fromkeys([*self.runs, *later.runs])),
            self.events + later.events,
            self.checkpoints + later.checkpoints,
            self.bytes + later.bytes,
            later.missing,
            list(dict.fromkeys([*self.refused, *later.refused])),
            self.learned + later.learned,
        )


class _Both(NamedTuple):
    """Both journals, each on one connection."""

    node: Journal
    reader: JournalReader
    outbox: Journal


class _Wanted(NamedTuple):
    """What is wanted of a session.

    Attributes:
        session: Its row.
        newest: The id of the journal's last event that is wanted.
        note: How far it was brought; None if it is not there.
        waiting: Checkpoints whose events wait.
    """

    session: Row[Any]
    newest: int
    note: Note | None
    waiting: Collection[str]

    def ready(self, groups: Iterable[list[Entry]]) -> Iterator[list[Entry]]:
        """Yield groups of events up to the first that waits; one of none where the session is to be made."""
        is_first = True
        for group in groups:
            ready = group[: self._ready(group)]
            if ready or (is_first and self.note is None):
                yield ready
            is_first = False
            if len(ready) < len(group):
                return
        if is_first and self.note is None:
            yield []

    def _ready(self, group: Sequence[Entry]) -> int:
        """Return how many events come before the first that waits."""
        if not self.waiting:
            return len(group)
        saved = (needed_checkpoints.saved(_columns(entry)) in self.waiting for entry in group)
        return next((index for index, waits in enumerate(saved) if waits), len(group))


class Collecting:
    """Brings one node's journal into a shared one. One thread owns it.

    Attributes:
        came: What the last step came to, also one that failed before its end.
    """

    def __init__(
        self,
        node: Journal,
        outbox: Journal,
        runs: Callable[[], Collection[str] | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Bring nothing yet.

        Args:
            node: The node's journal; it stays the caller's, as does the other.
            outbox: The shared one.
            runs: Returns the uuids of the runs that are wanted; None for all.
            clock: Seconds; never goes back.
        """
        self._node = node
        self._outbox = outbox
        self._runs = runs
        self._clock = clock
        self._place = brought.place(node)
        self.came = Collected()
        self._forget()

    def _forget(self) -> None:
        """Have what is there learned from the shared journal."""
        self._seen = -1
        self._is_overtaken = False
        self._reached: dict[str, Reached] = {}
        self._ends = SessionEnds()
        self._of_node, self._of_outbox = Telling(), Telling()
        self._look_due = self._clock()
        self._missing: list[str] = []
        self._whole: set[str] = set()

    @property
    def through(self) -> Mapping[str, int]:
        """The number of the last event of each session that was brought, by the session's uuid."""
        return {session: reached.last for session, reached in self._reached.items()}

    def step(self, *, is_last: bool = False) -> Collected:
        """Bring everything that the node's journal has by now; when this returns, it is committed there.

        Args:
            is_last: Whether to ask in any case what has arrived.

        Raises:
            JournalError: One of the journals, or the store of checkpoints, cannot be used now. What came in stays, and
                the next step does the rest.
        """
        self.came = Collected()
        try:
            with ExitStack() as stack:
                collected = self._step(stack, is_last=is_last)
        except BaseException:
            self._forget()
            raise
        return collected.plus(self.step(is_last=is_last)) if self._is_overtaken else collected

    def _step(self, stack: ExitStack, *, is_last: bool) -> Collected:
        node = stack.enter_context(self._node.on_one_connection())
        reader = JournalReader(node)
        newest = node_events.newest(reader)
        if newest < self._seen:  # another journal is in its place
            self._forget()
        sessions = node_events.sessions(reader, self._runs())
        runs = list(dict.fromkeys(one.run_id for one in sessions))
        self.came = collected = Collected(runs, missing=self._missing)
        is_due = is_last or self._clock() >= self._look_due
        if newest == self._seen and not is_due and self._ends.are_told(sessions):
            return collected
        both = _Both(node, reader, stack.enter_context(self._outbox.on_one_connection()))
        try:
            self._bring(both, sessions, newest, collected)
        except BlobError:  # of checkpoints alone: what else there is goes on
            self._tell_each_other(both, sessions, newest, collected, is_due=is_due)
            raise
        self._tell_each_other(both, sessions, newest, collected, is_due=is_due)
        return collected

    def _bring(self, both: _Both, sessions: Sequence[Row[Any]], newest: int, collected: Collected) -> None:
        """Bring events, what the node knows of their arrival before them, and the bytes that they are about."""
        lowest = node_events.first_new(both.reader, self._seen, newest)
        with both.outbox.begin(read_only=True) as connection:
            notes = brought.read(connection, self._place)
        new = [one for one in sessions if one.id in lowest or self._is_behind(one.uuid, notes.get(one.uuid))]
        results, told = self._of_node.changed(both.node, collected.runs)
        exchange.bring(both.outbox, results, has_events=False)
        with self._bytes_first(both, collected, is_new=bool(new)) as waiting:
            for session in new:
                reached = self._begin_at(both, session, lowest.get(session.id), notes.get(session.uuid), newest)
                wanted = _Wanted(session, newest, notes.get(session.uuid), waiting.get(session.run_id, ()))
                self._bring_session(both, wanted, reached, collected)
        collected.refused += exchange.bring(both.outbox, results, has_events=True)
        self._of_node.note(told)
        self._is_overtaken = bool(waiting)  # by the training: else an error was raised
        self._seen = self._seen if waiting else newest

    def _is_behind(self, session: str, note: Note | None) -> bool:
        """Return whether less of a session may be there than is known here."""
        known = self._reached.get(session)
        return known is None or note != known.note()

    @contextmanager
    def _bytes_first(
        self, both: _Both, collected: Collected, *, is_new: bool
    ) -> Iterator[Mapping[str, Collection[str]]]:
        """Bring the bytes of checkpoints; provide, by run, those that are not there and whose events wait.

        What else was recorded does not wait. At the end it is raised what was in the way.
        """
        brought, error = Restored(), None
        try:
            if is_new:
                both.node.flush()  # nothing leaves the machine that a power cut could still take from it
                checkpoint_bytes.bring(both.node, both.outbox, collected.runs, brought, self._whole)
        except BlobError as found:
            error = found
        finally:
            collected.checkpoints, collected.bytes = brought.checkpoints, brought.bytes
        waiting: dict[str, set[str]] = {}
        if error or checkpoint_bytes.superseded(both.node, collected.runs, brought.missing):
            waiting = checkpoint_bytes.waiting(both.node, both.outbox, collected.runs, brought.missing)
        if is_new:
            self._missing = collected.missing = sorted({*brought.missing}.difference(*waiting.values()))
        collected.refused += brought.damaged
        yield waiting
        if error:
            raise error

    def _begin_at(self, both: _Both, session: Row[Any], lowest: int | None, note: Note | None, newest: int) -> Reached:
        """Return how far a session was brought."""
        known = self._reached.get(session.uuid)
        if known and note == known.note() and (lowest is None or lowest > known.last):
            return known
        reached = Reached()
        for group in node_events.groups(both.reader, session.id, newest, through=note.last) if note else ():
            reached.add(group)
        if note and reached.note() == note:
            return reached
        return self._skipping_pruned(both, session, note, newest)

    def _skipping_pruned(self, both: _Both, session: Row[Any], note: Note | None, newest: int) -> Reached:
        """Return where to begin with a session of which what was noted does not hold, or nothing was noted.

        A run that the shared journal has pruned is there no more because it has arrived.
        """
        reached = Reached()
        with both.outbox.begin(read_only=True) as connection:
            notes = {session.uuid: note} if note else {}
            last = pruned_there.pruned_through(connection, [session.run_id], notes).get(session.uuid)
        for group in node_events.groups(both.reader, session.id, newest, through=last) if last else ():
            reached.add(group)
        return reached

    def _bring_session(self, both: _Both, wanted: _Wanted, reached: Reached, collected: Collected) -> None:
        """Bring a session's events from where it was reached."""
        session = wanted.session.uuid
        header = node_events.header(both.reader, wanted.session)
        groups = node_events.groups(both.reader, wanted.session.id, wanted.newest, after=reached.last)
        for group in wanted.ready(groups):
            reached = reached.copy()
            reached.add(group)
            name = f"collected/{self._place}/{session}/{reached.last}"
            with both.outbox.begin(concurrent=True) as connection:
                new = fallback_intake.add_whole(connection, name, header, [_columns(entry) for entry in group])
                brought.write(connection, session, self._place, reached.note())
            collected.events += new
        self._reached[session] = reached

    def _tell_each_other(
        self, both: _Both, sessions: Sequence[Row[Any]], newest: int, collected: Collected, *, is_due: bool
    ) -> None:
        """Tell the shared journal how far the node's sessions are, and the node, if that is due, what has arrived."""
        self._ends.tell(both.reader, both.outbox, sessions, self.through, newest)
        if is_due:
            self._learn(both, collected)

    def _learn(self, both: _Both, collected: Collected) -> None:
        """Have the node learn what has arrived of its runs."""
        began = self._clock()
        results, told = self._of_outbox.changed(both.outbox, collected.runs)
        with both.outbox.begin(read_only=True) as connection:
            results = [pruned_there.with_pruned(connection, one, self.through) for one in results]
        collected.refused += exchange.learn(both.node, results)
        collected.learned = len(results)
        self._of_outbox.note(told)
        if results:
            self._of_node.note_all(both.node, [one.run.id for one in results])
        self._look_due = self._clock() + max(RECEIPTS_SECONDS, _COST * (self._clock() - began))


def _columns(entry: Entry) -> dict[str, Any]:
    return dict(zip(ENTRY_FIELDS, entry, strict=True))
