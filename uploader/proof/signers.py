"""Who signs heads: the key of this machine, and former ones as far as they are had, which thereby announce it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from uploader.proof import ed25519
from uploader.proof.heads import PROGRAM, RunHead, SessionHead
from uploader.proof.signed_notes import Note, VerifierKey, sign


@dataclass(frozen=True)
class Signers:
    """The keys that sign.

    Attributes:
        seeds: Their private parts, the one of now first; without any, nothing is signed.
    """

    seeds: Sequence[bytes] = field(default=(), repr=False)

    @property
    def keys(self) -> list[VerifierKey]:
        """What signatures are checked with, that of the key of now first."""
        return [VerifierKey(PROGRAM, ed25519.public_of(seed)) for seed in self.seeds]

    @property
    def key(self) -> VerifierKey | None:
        """What signatures of the key of now are checked with; None if nothing is signed."""
        return self.keys[0] if self.seeds else None

    def run(self, head: RunHead) -> Note:
        """Return the head of a run, signed."""
        return self._signed(head.text(), head.name)

    def session(self, head: SessionHead) -> Note:
        """Return the head of a session, signed."""
        return self._signed(head.checkpoint(), head.origin)

    def _signed(self, text: str, name: str) -> Note:
        keys = [(VerifierKey(name, ed25519.public_of(seed)), ed25519.signer(seed)) for seed in self.seeds]
        return Note(text, tuple(sign(text, key, signer) for key, signer in keys))


UNSIGNED = Signers()
"""Signs nothing, where the extra `proof` is not installed."""
