"""The trees of a run, made from what its journal has recorded."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from journal.reading.recorded_events import RecordedEvent, number_beyond, recorded_events, recorded_sessions
from journal.storage.backend import Begin
from uploader.proof.leaves import IDENTITY
from uploader.proof.trees import SessionTree

Take = Callable[[str, RecordedEvent], object]
"""Takes the entry of an event, and the event."""


@dataclass(frozen=True)
class RunTree:
    """The tree of one session.

    Attributes:
        tree: Over its first events.
        beyond: How many more it has that the tree cannot have yet, because a number before them is missing.
    """

    tree: SessionTree
    beyond: int


def run_trees(begin: Begin, run: str, take: Take = lambda entry, event: None) -> Iterator[RunTree]:
    """Yield the trees of a run's sessions, in the order of their generations, as the journal is at one moment.

    Args:
        begin: Begins a transaction of the journal.
        run: Uuid of the run.
        take: Takes each event as it comes, so that none has to stay in memory.
    """
    with begin(read_only=True) as connection:
        for session in recorded_sessions(connection, run):
            if not (re.fullmatch(IDENTITY, run) and re.fullmatch(IDENTITY, session.uuid)):
                continue
            tree = SessionTree(run, session.uuid, session.generation)
            for event in recorded_events(connection, session):
                if entry := tree.add(*event):
                    take(entry, event)
            yield RunTree(tree, number_beyond(connection, session, tree.size))
