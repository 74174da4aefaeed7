"""Proofs made in memory."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field

from uploader.proof import ed25519, merkle, proof_file
from uploader.proof.heads import SessionHead, run_head
from uploader.proof.proof_file import Beginning, RunEnd, SessionEnd
from uploader.proof.signed_notes import COSIGNED, Note, VerifierKey, cosign
from uploader.proof.signers import Signers
from uploader.proof.trees import SessionTree

RUN, FIRST, SECOND = (f"00000000-0000-4000-8000-00000000000{each}" for each in "123")
SEED, WITNESS_SEED = bytes([1] * 32), bytes([2] * 32)
SIGNERS = Signers([SEED])
WITNESS = VerifierKey("platform.example", ed25519.public_of(WITNESS_SEED), COSIGNED)

Recorded = tuple[str, str, bytes]
"""The kind, key and payload of an event."""


@dataclass
class Making:
    """A proof to be made.

    Attributes:
        signers: Who signs.
        sessions: The events of each session, by its uuid.
        seen: How many events of each session a witness has countersigned.
        witnesses: The keys that the file brings.
    """

    sessions: dict[str, Sequence[Recorded]]
    signers: Signers = SIGNERS
    seen: dict[str, int] = field(default_factory=dict)
    witnesses: Sequence[VerifierKey] = (WITNESS,)

    def lines(self) -> list[bytes]:
        """Return the lines of the file."""
        made = [proof_file.beginning(Beginning(RUN, "demo/train", self.signers.key, tuple(self.witnesses)))]
        heads: list[SessionHead] = []
        for number, (session, events) in enumerate(self.sessions.items(), 1):
            tree = SessionTree(RUN, session, number)
            for seq, (kind, key, payload) in enumerate(events, 1):
                entry = tree.add(seq, kind, key, payload, None)
                assert entry is not None
                made += proof_file.event(entry, payload).splitlines(keepends=True)
            heads.append(tree.head())
            notes = (countersigned(tree, self.seen[session]),) if session in self.seen else ()
            end = SessionEnd(session, tree.size, 0, self.signers.session(heads[-1]), notes)
            made.append(proof_file.session_end(end))
        key = str(self.signers.key) if self.signers.key else None
        return [*made, proof_file.run_end(RunEnd(self.signers.run(run_head(RUN, key, heads))))]


def countersigned(tree: SessionTree, size: int, time: int = 1_800_000_000) -> Note:
    """Return the checkpoint of a tree at a size, with the cosignature of the witness."""
    text = tree.head(size).checkpoint()
    return Note(text, (cosign(text, WITNESS, ed25519.signer(WITNESS_SEED), time),))


def events(number: int) -> list[Recorded]:
    """Return so many events."""
    return [("epoch_end", str(each), b'{"epoch":%d}' % each) for each in range(number)]


def tree(size: int, *, last: bytes | None = None) -> SessionTree:
    """Return the tree of a session with so many events, of which the last may have another payload."""
    made = SessionTree(RUN, FIRST, 1)
    for seq, (kind, key, payload) in enumerate(events(size), 1):
        made.add(seq, kind, key, last if last and seq == size else payload, None)
    return made


def request(made: SessionTree, old: int = 0, signers: Signers = SIGNERS, path: Sequence[bytes] | None = None) -> bytes:
    """Return what asks a witness to countersign the head of a tree, after one of a size before."""
    hashes = merkle.consistency(made.hashes, old) if path is None else path
    lines = "".join(f"{base64.b64encode(each).decode()}\n" for each in hashes)
    return f"old {old}\n{lines}\n{signers.session(made.head())}".encode()
