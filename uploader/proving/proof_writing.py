"""Writing the proof of a run from its journal: its events, the signed heads of their trees, and countersignatures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO

from journal.folder import Journal
from journal.outbox.head_notes import stored_heads
from journal.reading.recorded_events import RecordedEvent
from journal.records import Run
from uploader.proof import proof_file
from uploader.proof.heads import SessionHead, parse_checkpoint, run_head
from uploader.proof.proof_file import Beginning, RunEnd, SessionEnd
from uploader.proof.signed_notes import NotANote, Note, VerifierKey
from uploader.proof.signers import Signers
from uploader.proof.trees import SessionTree
from uploader.proving.run_trees import run_trees
from uploader.run_selection import full_name


class NothingToProve(Exception):
    """The journal has no events of a run that a tree can be made of."""


@dataclass
class Written:
    """What a proof has.

    Attributes:
        sessions: How many sessions.
        events: How many events.
        beyond: How many more the journal has that it does not cover.
        disclosed: Of how many events it has the content.
        countersigned: How many events were countersigned.
        bytes: How long it is.
        outdated: Whether a head was countersigned that the journal does not have: it lacks events, or others are there.
    """

    sessions: int = 0
    events: int = 0
    beyond: int = 0
    disclosed: int = 0
    countersigned: int = 0
    bytes: int = 0
    outdated: bool = False


@dataclass
class Countersigned:
    """The checkpoints of a run that witnesses have countersigned.

    Attributes:
        notes: The checkpoints.
        witnesses: The keys of the witnesses.
    """

    notes: list[Note] = field(default_factory=list)
    witnesses: list[VerifierKey] = field(default_factory=list)

    def of(self, tree: SessionTree) -> Sequence[tuple[int, Note]]:
        """Return those that a session's tree has grown out of, with their sizes."""
        found = []
        for note in self.notes:
            run, session, head = parse_checkpoint(note.text)
            if (run, session) == (tree.run, tree.session) and tree.had(head):
                found.append((head.size, note))
        return found


def write_proof(
    journal: Journal, run: Run, signers: Signers, file: IO[bytes], discloses: Callable[[str], bool]
) -> Written:
    """Write the proof of a run.

    Args:
        journal: The journal.
        run: The run.
        signers: Who signs.
        file: Where to write it.
        discloses: Whether the content of events of a kind is put into it.

    Raises:
        NothingToProve: There are no such events.
        JournalError: The journal cannot be read.
        OSError: The file cannot be written.
    """
    known = countersigned(journal, run.id)
    written = Written()
    file.write(proof_file.beginning(Beginning(run.id, full_name(run), signers.key, tuple(known.witnesses))))

    def take(entry: str, event: RecordedEvent) -> None:
        payload = event.payload if discloses(event.kind) else None
        written.disclosed += payload is not None
        file.write(proof_file.event(entry, payload))

    heads: list[SessionHead] = []
    used = 0
    for one in run_trees(journal.begin, run.id, take):
        written.beyond += one.beyond
        if not one.tree.size:
            continue
        own = known.of(one.tree)
        used += len(own)
        written.countersigned += max((size for size, _ in own), default=0)
        heads.append(one.tree.head())
        notes = tuple(note for _, note in own)
        end = SessionEnd(one.tree.session, one.tree.size, one.beyond, signers.session(heads[-1]), notes)
        file.write(proof_file.session_end(end))
    if not heads:
        raise NothingToProve
    key = signers.key
    file.write(proof_file.run_end(RunEnd(signers.run(run_head(run.id, str(key) if key else None, heads)))))
    written.sessions, written.events = len(heads), sum(each.head.size for each in heads)
    written.bytes = file.tell()
    written.outdated = used < len(known.notes)
    return written


def countersigned(journal: Journal, run: str) -> Countersigned:
    """Return what witnesses have countersigned of a run, as far as the journal was told."""
    with journal.begin(read_only=True) as connection:
        stored = stored_heads(connection, run)
    found = Countersigned()
    for value in stored.values():
        try:
            notes = [Note.parse(each) for each in value["countersigned"]]
            witness = VerifierKey.parse(value["witness"])
            for note in notes:
                parse_checkpoint(note.text)
        except (KeyError, TypeError, NotANote):  # nobody has countersigned, or somebody has written there
            continue
        found.notes += notes
        found.witnesses.append(witness)
    return found
