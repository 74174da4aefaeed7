"""Checking a proof, line by line: whether its events are those that were signed, and by whom."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from uploader.proof import proof_file
from uploader.proof.heads import Head, RunHead, SessionHead, origin, parse_checkpoint, run_head
from uploader.proof.leaves import Leaf, payload_digest
from uploader.proof.merkle import leaf_hash
from uploader.proof.proof_file import PAYLOAD, Beginning, DamagedProof, RunEnd, SessionEnd
from uploader.proof.signed_notes import NotANote, Note, VerifierKey, Verify
from uploader.proof.trees import SessionTree

_MOST_NOTES = 16
See = Callable[[Leaf, bytes | None], None]
"""Is shown each event, with its payload where that is disclosed."""


@dataclass(frozen=True)
class Countersigned:
    """A witness's word for the first events of a session.

    Attributes:
        witness: Its key.
        session: Uuid of the session.
        events: How many events it had seen.
        time: When, in Unix seconds, by its own clock.
    """

    witness: VerifierKey
    session: str
    events: int
    time: int


@dataclass
class Findings:
    """What a proof proves.

    Attributes:
        beginning: Its first line.
        events: How many events are in it, all sessions together.
        beyond: How many more the journal had that no head covers.
        trees: The tree of each session, by its uuid.
        heads: The signed head of each session, by its uuid, with the countersignatures of as many events.
        signed_by: The keys that have signed every head, of those that were asked about.
        countersigned: What witnesses have countersigned.
        troubles: In words, why it is not what was signed.
    """

    beginning: Beginning
    events: int = 0
    beyond: int = 0
    trees: dict[str, SessionTree] = field(default_factory=dict)
    heads: dict[str, Note] = field(default_factory=dict)
    signed_by: list[VerifierKey] = field(default_factory=list)
    countersigned: list[Countersigned] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    @property
    def witnesses(self) -> list[VerifierKey]:
        """Who has countersigned any of it."""
        return list(dict.fromkeys(each.witness for each in self.countersigned))

    def covered_by(self, witness: VerifierKey) -> int:
        """Return how many of its events a witness has countersigned."""
        best: dict[str, int] = {}
        for each in self.countersigned:
            if each.witness == witness:
                best[each.session] = max(each.events, best.get(each.session, 0))
        return sum(best.values())


def check(
    lines: Iterable[bytes],
    verify: Verify,
    see: See = lambda leaf, payload: None,
    *,
    keys: Iterable[VerifierKey] = (),
    witnesses: Iterable[VerifierKey] = (),
) -> Findings:
    """Check a proof.

    Args:
        lines: Of the file, each with its end.
        verify: Checks signatures.
        see: Is shown each event.
        keys: Who may have signed it, beside the key that it names itself.
        witnesses: Who may have countersigned it, beside those that it names itself.

    Raises:
        NotAProof: It is none.
        DamagedProof: It is damaged, so that there is nothing to check.
    """
    return _Checker(verify, see, tuple(keys), tuple(witnesses)).check(lines)


class _Checker:
    """Takes one proof apart.

    Attributes:
        found: What was found so far.
    """

    found: Findings

    def __init__(
        self, verify: Verify, see: See, keys: tuple[VerifierKey, ...], witnesses: tuple[VerifierKey, ...]
    ) -> None:
        self._verify = verify
        self._see = see
        self._keys = keys
        self._witnesses = witnesses
        self._tree: SessionTree | None = None
        self._waiting: Leaf | None = None
        self._sessions: list[SessionHead] = []
        self._heads: list[tuple[str, Note]] = []

    def check(self, lines: Iterable[bytes]) -> Findings:
        for line in proof_file.read(lines):
            if isinstance(line, bytes):
                self._payload(line[1:]) if line[0] == PAYLOAD else self._entry(line)
            elif isinstance(line, SessionEnd):
                self._end_session(line)
            elif isinstance(line, RunEnd):
                self._end(line)
            else:
                self._begin(line)
        return self.found

    def _begin(self, line: Beginning) -> None:
        self.found = Findings(line)
        self._keys = tuple(dict.fromkeys((*self._keys, *([line.key] if line.key else ()))))
        self._witnesses = tuple(dict.fromkeys((*self._witnesses, *line.witnesses)))

    def _entry(self, line: bytes) -> None:
        if self._waiting is not None:
            self._show(None)
        leaf = Leaf.parse(line.decode("ascii", "replace"))
        if leaf is None:
            raise DamagedProof(f"the line of an event is damaged: {line[:80]!r}")
        tree = self._tree
        if tree is None:
            tree = self._tree = SessionTree(self.found.beginning.run, leaf.session, 0)
        if leaf.session != tree.session or leaf.seq != len(tree.hashes) + 1:
            raise DamagedProof(f"event {leaf.seq} of session {leaf.session} is not where it belongs")
        tree.hashes.append(leaf_hash(line))
        self._waiting = leaf

    def _payload(self, payload: bytes) -> None:
        leaf = self._waiting
        if leaf is None:
            raise DamagedProof("a payload belongs to no event")
        if payload_digest(payload) != leaf.payload:
            self.found.troubles.append(
                f"the content of event {leaf.seq} ({leaf.kind} {leaf.key}) of session {leaf.session} was altered"
            )
        self._show(payload)

    def _show(self, payload: bytes | None) -> None:
        if self._waiting is not None:
            self._see(self._waiting, payload)
        self._waiting = None

    def _end_session(self, end: SessionEnd) -> None:
        self._show(None)
        tree, self._tree = self._tree, None
        if tree is None or (tree.session, tree.size) != (end.session, end.events) or tree.session in self.found.trees:
            raise DamagedProof(f"the events of session {end.session} are not complete")
        self.found.trees[end.session] = tree
        self.found.events += tree.size
        self.found.beyond += max(0, end.beyond)
        head = self._head_of(end.head, end.session)
        if head != tree.head().head:
            self.found.troubles.append(
                f"the events of session {end.session} are not those whose head was signed: they were altered"
            )
        self._heads.append((origin(self.found.beginning.run, end.session), end.head))
        whole = (note for note in end.countersigned if note.text == end.head.text)
        self.found.heads[end.session] = end.head.with_signatures(each for note in whole for each in note.signatures)
        for note in end.countersigned[:_MOST_NOTES]:  # each costs a tree
            self._countersigned(note, tree)

    def _head_of(self, note: Note, session: str) -> Head | None:
        try:
            run, named, head = parse_checkpoint(note.text)
        except NotANote:
            return None
        return head if (run, named) == (self.found.beginning.run, session) else None

    def _countersigned(self, note: Note, tree: SessionTree) -> None:
        head = self._head_of(note, tree.session)
        name = origin(self.found.beginning.run, tree.session)
        if head is None or not tree.had(head):
            self.found.troubles.append(
                f"the events of session {tree.session} are not those that were countersigned: they were altered"
            )
            return
        for key in self._witnesses:
            time = note.cosigned_at(key, self._verify)
            if time is not None:
                self.found.countersigned.append(Countersigned(key, tree.session, head.size, time))
            elif note.signed_by(key, self._verify) is False:
                self.found.troubles.append(f"a countersignature of {name} by {key.name} is wrong")

    def _end(self, end: RunEnd) -> None:
        if self._tree is not None:
            raise DamagedProof(f"the events of session {self._tree.session} are not complete")
        head = self._run_head(end.head)
        if head is None:
            return
        self._compare(head)
        self._heads.append((head.name, end.head))
        self.found.signed_by = [key for key in self._keys if self._has_signed_all(key)]

    def _run_head(self, note: Note) -> RunHead | None:
        try:
            head = RunHead.parse(note.text)
        except NotANote as error:
            raise DamagedProof(f"the head of the run is damaged: {error}") from error
        if head.run != self.found.beginning.run:
            self.found.troubles.append("the head is that of another run")
            return None
        return head

    def _compare(self, head: RunHead) -> None:
        """Check that the run's head lists the sessions that are there, no more and no less."""
        for each in head.sessions:
            if each.session in self.found.trees:
                self.found.trees[each.session].generation = each.generation
        here = run_head(head.run, head.key, [tree.head() for tree in self.found.trees.values()])
        if here != head:
            self.found.troubles.append("the sessions are not those that the head of the run lists: some were altered")

    def _has_signed_all(self, key: VerifierKey) -> bool:
        said = [note.signed_by(key.named(name), self._verify) for name, note in self._heads]
        if False in said:
            self.found.troubles.append(f"a signature by {key} is wrong")
        return bool(said) and all(said)
