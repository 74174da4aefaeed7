"""Proofs of single events, as https://c2sp.org/tlog-proof defines them: for verifiers that are not ours."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from uploader.proof import merkle
from uploader.proof.signed_notes import Note

_FORMAT = "c2sp.org/tlog-proof@v1"


def tlog_proof(leaves: Sequence[bytes], index: int, checkpoint: Note) -> str:
    """Return the proof that an event is in a session's tree.

    Args:
        leaves: The leaf hashes of the tree that the checkpoint is of.
        index: The event's index, its number less one.
        checkpoint: The signed head of that tree.
    """
    path = "".join(f"{base64.b64encode(each).decode()}\n" for each in merkle.inclusion(leaves, index))
    return f"{_FORMAT}\nindex {index}\n{path}\n{checkpoint}"
