"""Segments: immutable, compressed files of one session's events with consecutive numbers. Pure.

Uncompressed, a segment is a fallback file (`journal.writing.fallback_format`) whose header says a little more, so that
the intake of fallback files ingests it: each event once, by its identity.

The chain is a hash over a session's events, each line hashed with what came before it. It does not depend on how the
events are divided into segments, so a merged segment fits between its neighbours as those did that it replaces.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from journal.clock import from_text
from journal.encoding import encode
from journal.errors import DamagedMirror
from journal.mirror.layout import SegmentName
from journal.sessions.identity import Entry
from journal.writing.fallback_format import PARSE_ERRORS, Header, parse_header

FORMAT = 1
MOST_EVENTS = 5_000
MOST_BYTES = 4 << 20
"""The limits of what is put into one segment, uncompressed; a single event may be larger."""
_LARGEST = 1 << 30
_PAYLOAD = ',"payload":'
_LEVEL = 6


@dataclass(frozen=True)
class Segment:
    """A segment, read or to be written.

    Attributes:
        name: Its name.
        header: What its events belong to.
        lines: One for each event, in order, without line ends.
        before: The chain up to its first event; None where the event before that was not known.
    """

    name: SegmentName
    header: Header
    lines: Sequence[bytes]
    before: str | None

    @property
    def after(self) -> str:
        """The chain up to its last event."""
        return chain(self.before, self.lines)

    def content(self) -> bytes:
        """Return the bytes that are stored: equal segments have equal ones."""
        return gzip.compress(_content(self.header, self.lines, self.name.first, self.before), _LEVEL, mtime=0)


def make(header: Header, entries: Sequence[Entry], before: str | None) -> Segment:
    """Return the segment of some events.

    Args:
        header: With the session's uuid.
        entries: The events, whose numbers follow each other.
        before: The chain up to the first of them, if it is known.
    """
    return _made(header, [line(entry) for entry in entries], entries[0][4], before)


def merge(parts: Sequence[Segment]) -> Segment:
    """Return the segment that has the events of several which follow each other."""
    first = parts[0]
    return _made(first.header, [line for part in parts for line in part.lines], first.name.first, first.before)


def parse(name: SegmentName, stored: bytes) -> Segment:
    """Return the segment with this name from the bytes that were stored under it.

    Raises:
        DamagedMirror: They are not what the name says.
    """
    content = _uncompressed(name, stored)
    if _digest(content) != name.digest:
        raise DamagedMirror(f"{name} is damaged: its content is not what its name says")
    first, *lines = content.removesuffix(b"\n").split(b"\n")
    header = parse_header(first + b"\n")
    if header is None or (header.run.id, header.session) != (name.run, name.session):
        raise DamagedMirror(f"{name} is damaged: its header does not belong to it")
    if len(lines) != name.last - name.first + 1:
        raise DamagedMirror(f"{name} is damaged: it holds {len(lines)} events")
    return Segment(name, header, lines, _before(first))


def line(entry: Entry) -> bytes:
    """Return the line of an event. A payload that `encode` would write otherwise is kept as text, to the letter."""
    kind, key, payload, created_at, seq = entry
    head = json.dumps(
        {"kind": kind, "key": key, "created_at": created_at, "seq": seq}, ensure_ascii=False, separators=(",", ":")
    )
    stored = payload if _is_canonical(payload) else json.dumps(payload, ensure_ascii=False)
    return f"{head[:-1]}{_PAYLOAD}{stored}}}".encode("utf-8", "backslashreplace")


def columns(line: bytes) -> dict[str, Any] | None:
    """Return the columns of an event from its line, with the payload as it was; None where they cannot be stored.

    A payload is not parsed: that takes most of the time, and what we have written of it can be read.
    """
    head, _, stored = line.decode("utf-8", "replace").partition(_PAYLOAD)  # unescaped, it is in no value before it
    try:
        event = json.loads(f"{head}}}")
        from_text(event["created_at"])
        text = stored[:-1] if stored.startswith("{") else json.loads(stored[:-1])
        return {
            **{name: str(event[name]) for name in ("kind", "key", "created_at")},
            "payload": text,
            "seq": event["seq"],
        }
    except PARSE_ERRORS:
        return None


def chain(before: str | None, lines: Iterable[bytes]) -> str:
    """Return the chain after some events, from that before them."""
    so_far = before or ""
    for each in lines:
        so_far = hashlib.sha256(so_far.encode() + each).hexdigest()
    return so_far


def divided(entries: Iterable[Entry]) -> Iterable[list[Entry]]:
    """Yield events, which are in the order of their numbers, in groups of which each makes a segment."""
    group: list[Entry] = []
    room = MOST_BYTES
    for entry in entries:
        if group and (entry[4] != group[-1][4] + 1 or len(group) >= MOST_EVENTS or len(entry[2]) > room):
            yield group
            group, room = [], MOST_BYTES
        group.append(entry)
        room -= len(entry[2])
    if group:
        yield group


def _made(header: Header, lines: Sequence[bytes], first: int, before: str | None) -> Segment:
    assert header.session is not None
    digest = _digest(_content(header, lines, first, before))
    name = SegmentName(header.run.id, header.session, first, first + len(lines) - 1, digest)
    return Segment(name, header, lines, before)


def _content(header: Header, lines: Sequence[bytes], first: int, before: str | None) -> bytes:
    head = {**asdict(header), "segment": FORMAT, "first": first, "last": first + len(lines) - 1, "before": before}
    return b"\n".join([json.dumps(head, separators=(",", ":")).encode(), *lines, b""])


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _uncompressed(name: SegmentName, stored: bytes) -> bytes:
    """Return what was compressed, unless it is larger than any segment of ours.

    Raises:
        DamagedMirror: It is, or it cannot be uncompressed.
    """
    reader = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        content = reader.decompress(stored, _LARGEST)
    except zlib.error as error:
        raise DamagedMirror(f"{name} is damaged: {error}") from error
    if not reader.eof:
        raise DamagedMirror(f"{name} is damaged: it is not whole")
    return content


def _before(first: bytes) -> str | None:
    before = json.loads(first).get("before")
    return before if isinstance(before, str) else None


def _is_canonical(payload: str) -> bool:
    try:
        return encode(dict(json.loads(payload))) == payload
    except PARSE_ERRORS:
        return False
