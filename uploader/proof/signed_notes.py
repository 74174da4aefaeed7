"""Signed notes, as https://c2sp.org/signed-note defines them: a text, a blank line, and a line for each signature.

The key that made a signature is told by its name and the first bytes of a hash over name, kind and public key. Two
kinds are known here: Ed25519 over the note's text, and the cosignature of https://c2sp.org/tlog-cosignature, which
also says when a witness saw it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Literal

SIGNED: Final = 1
COSIGNED: Final = 4
"""The kinds of signatures, as the first byte of a verifier key."""
LARGEST = 1 << 20
"""The characters that a note has at most."""

_MARK = "\u2014"
_ID_BYTES, _TIME_BYTES, _KEY_BYTES, _SIGNATURE_BYTES = 4, 8, 32, 64
_NAME = re.compile(r"[^\s+]+")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")

Sign = Callable[[bytes], bytes]
"""Signs a message with a private key."""
Verify = Callable[[bytes, bytes, bytes], bool]
"""Returns whether, by a public key, a signature is that of a message."""


class NotANote(ValueError):
    """A text is not a signed note, a verifier key or a checkpoint; the message says why."""


@dataclass(frozen=True)
class VerifierKey:
    """What a signature is checked with.

    Attributes:
        name: Who signs.
        public: The public key, 32 bytes.
        kind: `SIGNED` or `COSIGNED`.
    """

    name: str
    public: bytes
    kind: Literal[1, 4] = SIGNED

    @property
    def id(self) -> bytes:
        """The first bytes of a signature by this key."""
        return sha256(f"{self.name}\n".encode() + bytes([self.kind]) + self.public).digest()[:_ID_BYTES]

    def named(self, name: str) -> VerifierKey:
        """Return the same key under another name."""
        return VerifierKey(name, self.public, self.kind)

    def __str__(self) -> str:
        """Return it as text, from which `parse` makes it again."""
        return f"{self.name}+{self.id.hex()}+{_encoded(bytes([self.kind]) + self.public)}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Return the key that a text describes.

        Raises:
            NotANote: It describes none, or one of another kind.
        """
        name, _, rest = text.strip().partition("+")
        digest, _, encoded = rest.partition("+")
        material = _decoded(encoded)
        if not _NAME.fullmatch(name) or len(material) != 1 + _KEY_BYTES or material[0] not in (SIGNED, COSIGNED):
            raise NotANote("this is no verifier key of Ed25519, such as name+1a2b3c4d+AVL7…")
        found = cls(name, material[1:], SIGNED if material[0] == SIGNED else COSIGNED)
        if found.id.hex() != digest:
            raise NotANote("the verifier key is damaged: its digest is not that of its key")
        return found


@dataclass(frozen=True)
class Signature:
    """One line below a note's text.

    Attributes:
        name: Who says to have signed.
        key_id: The first bytes of a hash of the key.
        content: All else.
    """

    name: str
    key_id: bytes
    content: bytes

    def __str__(self) -> str:
        """Return the line, without its end."""
        return f"{_MARK} {self.name} {_encoded(self.key_id + self.content)}"

    @classmethod
    def parse(cls, line: str) -> Signature:
        """Return what a line says.

        Raises:
            NotANote: It is none.
        """
        mark, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        content = _decoded(encoded)
        if mark != _MARK or not _NAME.fullmatch(name) or len(content) <= _ID_BYTES:
            raise NotANote("one of its signature lines is none")
        return cls(name, content[:_ID_BYTES], content[_ID_BYTES:])

    def is_by(self, key: VerifierKey) -> bool:
        """Return whether it says to be made by this key."""
        return (self.name, self.key_id) == (key.name, key.id)


@dataclass(frozen=True)
class Note:
    """A text and its signatures.

    Attributes:
        text: It ends with a line's end.
        signatures: In their order; there may be none.
    """

    text: str
    signatures: tuple[Signature, ...] = field(default=())

    def __str__(self) -> str:
        """Return it as it is written."""
        return f"{self.text}\n" + "".join(f"{each}\n" for each in self.signatures)

    @classmethod
    def parse(cls, written: str) -> Note:
        """Return the note that was written so, whoever signed it.

        Raises:
            NotANote: It is none.
        """
        if len(written) > LARGEST or _CONTROL.search(written):
            raise NotANote("it is no signed note")
        text, blank, lines = written.rpartition("\n\n")
        if not blank or not (lines.endswith("\n") or not lines):
            raise NotANote("it is no signed note, or was cut off")
        return cls(f"{text}\n", tuple(Signature.parse(line) for line in lines.split("\n")[:-1]))

    def with_signatures(self, more: Iterable[Signature]) -> Note:
        """Return it with further signatures, each once."""
        return Note(self.text, tuple(dict.fromkeys((*self.signatures, *more))))

    def signed_by(self, key: VerifierKey, verify: Verify) -> bool | None:
        """Return whether a key has signed it; None where no signature says so, False where one is wrong."""
        own = [each for each in self.signatures if each.is_by(key)]
        if not own:
            return None
        return all(_is_valid(self.text, each.content, key, verify) for each in own)

    def cosigned_at(self, key: VerifierKey, verify: Verify) -> int | None:
        """Return when a witness has cosigned it, in Unix seconds; None if it has not, or its signature is wrong."""
        if not self.signed_by(key, verify):
            return None
        return max(_time(each.content) for each in self.signatures if each.is_by(key))


def sign(text: str, key: VerifierKey, signer: Sign) -> Signature:
    """Return the signature of a note's text by a key of the kind `SIGNED`."""
    return Signature(key.name, key.id, signer(text.encode()))


def cosign(text: str, key: VerifierKey, signer: Sign, time: int) -> Signature:
    """Return a witness's cosignature of a checkpoint's text, at a time in Unix seconds."""
    return Signature(key.name, key.id, time.to_bytes(_TIME_BYTES, "big") + signer(_cosigned(text, time)))


def _is_valid(text: str, content: bytes, key: VerifierKey, verify: Verify) -> bool:
    if key.kind == SIGNED:
        return len(content) == _SIGNATURE_BYTES and verify(key.public, content, text.encode())
    if len(content) != _TIME_BYTES + _SIGNATURE_BYTES:
        return False
    return verify(key.public, content[_TIME_BYTES:], _cosigned(text, _time(content)))


def _cosigned(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def _time(content: bytes) -> int:
    return int.from_bytes(content[:_TIME_BYTES], "big")


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _decoded(text: str) -> bytes:
    """Return what was encoded so, exactly; nothing where it cannot have been."""
    try:
        content = base64.b64decode(text.encode(), validate=True)
    except (binascii.Error, ValueError):
        return b""
    return content if _encoded(content) == text else b""
