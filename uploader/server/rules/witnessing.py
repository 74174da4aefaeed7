"""Countersigning heads, as https://c2sp.org/tlog-witness says: a session's tree may grow, and never change. Pure."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from uploader.proof import ed25519, merkle
from uploader.proof.heads import Head, RunHead, parse_checkpoint
from uploader.proof.signed_notes import COSIGNED, NotANote, Note, Signature, VerifierKey, cosign
from uploader.server.http_errors import Forbidden, Invalid, Malformed, NotFound
from uploader.server.storage.witness_store import Witnessed

LARGEST = 64 * 1024
"""The bytes of a request at most."""
_MOST_HASHES = 63


class OtherSizeError(Exception):
    """The client supposes another size of the newest countersigned head than it has.

    Attributes:
        size: What it has.
    """

    def __init__(self, size: int) -> None:
        super().__init__(f"the newest head has {size} events")
        self.size = size


@dataclass(frozen=True)
class Request:
    """A head that is to be countersigned.

    Attributes:
        old_size: Of the head that was countersigned before; 0 for none.
        path: The consistency proof from that one.
        note: The checkpoint.
        run: Uuid of the run.
        origin: The name of the session's tree.
        head: What the checkpoint tells.
    """

    old_size: int
    path: tuple[bytes, ...]
    note: Note
    run: str
    origin: str
    head: Head


@dataclass(frozen=True)
class WitnessKey:
    """The key that this platform countersigns with.

    Attributes:
        name: Of the platform.
        seed: Its private part.
    """

    name: str
    seed: bytes

    @property
    def public(self) -> VerifierKey:
        """What its countersignatures are checked with."""
        return VerifierKey(self.name, ed25519.public_of(self.seed), COSIGNED)

    def cosign(self, note: Note, time: int) -> Signature:
        """Countersign a checkpoint."""
        return cosign(note.text, self.public, ed25519.signer(self.seed), time)


def parse(body: bytes) -> Request:
    """Return what a request asks for.

    Raises:
        Malformed: It is none.
    """
    try:
        first, _, rest = body.decode().partition("\n\n")
        old, *hashes = first.split("\n")
        word, _, size = old.partition(" ")
        if word != "old" or not (size.isascii() and size.isdecimal() and str(int(size)) == size and len(size) < 17):
            raise Malformed("The first line must be 'old SIZE'")
        if len(hashes) > _MOST_HASHES:
            raise Malformed(f"A consistency proof has {_MOST_HASHES} hashes at most")
        note = Note.parse(rest)
        run, _, head = parse_checkpoint(note.text)
        path = tuple(base64.b64decode(each, validate=True) for each in hashes)
    except (NotANote, ValueError) as error:
        raise Malformed(f"The body is no head to countersign: {error}") from error
    if int(size) > head.size:
        raise Malformed("The old size is larger than that of the checkpoint")
    return Request(int(size), path, note, run, note.text.partition("\n")[0], head)


def keys_of(announced: Sequence[str], heads: Sequence[str]) -> list[str]:
    """Return the keys that may begin the trees of a run.

    Args:
        announced: Those that the run's trainings have announced.
        heads: The heads that the run's models keep, which name their keys: these count where nobody announced one.
    """
    return list(announced) or [key for each in heads if (key := _key_of(each))]


def witness(
    request: Request, known: Witnessed | None, trusted_keys: Sequence[str], key: WitnessKey, time: int
) -> Witnessed:
    """Return the head that is countersigned from now on.

    The first head of a session has to be signed by a key of the run, and each further one by the same key. So who has
    another key cannot go on with the tree, and who has the key cannot change it.

    Args:
        request: What the client asks for.
        known: The newest head of the session that was countersigned.
        trusted_keys: From `keys_of`.
        key: This platform's.
        time: Now, in Unix seconds.

    Raises:
        NotFound: The run has none.
        Forbidden: No such key has signed it.
        OtherSizeError: The client has to begin from another size.
        Invalid: The tree has not grown out of the one before.
    """
    trusted = [known.key] if known else trusted_keys
    if not trusted:
        raise NotFound("Nobody has announced a key for this run")
    signer = next((each for each in trusted if _has_signed(request, each)), None)
    if signer is None:
        raise Forbidden("The head is not signed by the key that this run's training announced")
    if request.old_size != (known.size if known else 0):
        raise OtherSizeError(known.size if known else 0)
    old_root = known.root if known else b""
    if not merkle.is_consistent(request.old_size, old_root, request.head.size, request.head.root, request.path):
        raise Invalid("The events are not those that were countersigned before: they were changed")
    note = Note(request.note.text).with_signatures(_lines_of(request, signer))
    return Witnessed(
        request.origin,
        signer,
        request.head.size,
        request.head.root,
        str(note.with_signatures([key.cosign(note, time)])),
    )


def _key_of(head: str) -> str | None:
    try:
        return RunHead.parse(Note.parse(head).text).key
    except NotANote:
        return None


def _has_signed(request: Request, key: str) -> bool:
    try:
        return request.note.signed_by(VerifierKey.parse(key).named(request.origin), ed25519.verify) is True
    except NotANote:
        return False


def _lines_of(request: Request, key: str) -> list[Signature]:
    own = VerifierKey.parse(key).named(request.origin)
    return [each for each in request.note.signatures if each.is_by(own)]
