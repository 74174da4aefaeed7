"""The entry that each event is in its session's tree: one line of JSON, the same wherever the event is."""

from __future__ import annotations

import re
from hashlib import sha256
from json import loads
from json.encoder import encode_basestring_ascii
from typing import NamedTuple

IDENTITY = r"[0-9A-Za-z._:-]{1,100}"
"""What the uuid of a run or a session may look like, also where somebody else has made it."""

_PLAIN = r"[ !#-\[\]-~]*"
_TEXT = rf'"{_PLAIN}(?:\\.{_PLAIN})*"'
_ENTRY = re.compile(
    rf'\["({IDENTITY})",([1-9][0-9]{{0,15}}),({_TEXT}),({_TEXT}),"([0-9a-f]{{64}})",(?:null|"([0-9a-f]{{64}})")\]'
)


class Leaf(NamedTuple):
    """What is proven of an event.

    Attributes:
        session: Uuid of its session.
        seq: Its number there, from 1; its index in the tree is one less.
        kind: Its kind.
        key: Its natural key within the kind.
        payload: The sha256 of its payload's bytes, as hexadecimal digits.
        blob: That of the checkpoint's bytes, for a checkpoint.
    """

    session: str
    seq: int
    kind: str
    key: str
    payload: str
    blob: str | None

    def entry(self) -> str:
        """Return the line: an array in ASCII without spaces, so that equal events have equal ones."""
        blob = "null" if self.blob is None else f'"{self.blob}"'
        kind, key = encode_basestring_ascii(self.kind), encode_basestring_ascii(self.key)
        return f'["{self.session}",{self.seq},{kind},{key},"{self.payload}",{blob}]'

    @classmethod
    def parse(cls, line: str) -> Leaf | None:
        """Return the event that a line stands for; None where none of ours is written so."""
        found = _ENTRY.fullmatch(line)
        if found is None:
            return None
        session, seq, kind, key, payload, blob = found.groups()
        if "\\" not in line:
            return cls(session, int(seq), kind[1:-1], key[1:-1], payload, blob)
        leaf = cls(session, int(seq), _text(kind), _text(key), payload, blob)
        return leaf if leaf.entry() == line else None


def payload_digest(payload: bytes) -> str:
    """Return the sha256 of a payload's bytes, as hexadecimal digits."""
    return sha256(payload).hexdigest()


def _text(quoted: str) -> str:
    try:
        return str(loads(quoted))
    except ValueError:
        return ""
