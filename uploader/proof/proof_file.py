"""The file that `prove` writes and `check` reads: text, a line for each thing.

{"format": …, "version": 1, "run": …, "called": …, "key": …, "witnesses": […]}
["<session>",1,"training_started","1","<sha256 of its payload>",null]          an event: the entry of its leaf
 {"epoch":0,…}                                                                  its payload, if it is disclosed
…
{"session": …, "events": 1204, "beyond": 0, "head": …, "countersigned": […]}    after the events of each session
{"head": …}                                                                     the run's, after all sessions
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from uploader.proof.signed_notes import NotANote, Note, VerifierKey

FORMAT = "offline-uploader proof"
VERSION = 1
LONGEST_LINE = 128 << 20
_PAYLOAD = b" "
_OF_EVENTS = (b"[", _PAYLOAD)


class NotAProof(ValueError):
    """A file is no proof, or one of a later version; the message says which."""


class DamagedProof(ValueError):
    """A file began as a proof and does not go on as one; the message says where."""


@dataclass(frozen=True)
class Beginning:
    """The first line.

    Attributes:
        run: Uuid of the run.
        called: What the run is called, for people; nothing proves it.
        key: The key that signs the heads; None if they are unsigned.
        witnesses: Keys of those who have countersigned, as the file has them.
    """

    run: str
    called: str
    key: VerifierKey | None = None
    witnesses: tuple[VerifierKey, ...] = ()


@dataclass(frozen=True)
class SessionEnd:
    """The line after a session's events.

    Attributes:
        session: Uuid of the session.
        events: How many there are above it.
        beyond: How many more the journal had, with numbers after a missing one.
        head: The signed checkpoint of all of them.
        countersigned: Checkpoints, of fewer events or all of them, that witnesses have countersigned.
    """

    session: str
    events: int
    beyond: int
    head: Note
    countersigned: tuple[Note, ...] = field(default=())


@dataclass(frozen=True)
class RunEnd:
    """The last line.

    Attributes:
        head: The signed head of the run.
    """

    head: Note


PAYLOAD = _PAYLOAD[0]
"""The first byte of a payload's line."""

Line = bytes | Beginning | SessionEnd | RunEnd
"""A line that was read: bytes are an event's entry or, with a space before it, a payload."""


def beginning(one: Beginning) -> bytes:
    """Return the first line."""
    key = str(one.key) if one.key else None
    witnesses = [str(each) for each in one.witnesses]
    return _line(
        {
            "format": FORMAT,
            "version": VERSION,
            "run": one.run,
            "called": one.called,
            "key": key,
            "witnesses": witnesses,
        }
    )


def event(entry: str, payload: bytes | None) -> bytes:
    """Return the lines of an event; a payload that has lines itself cannot be disclosed."""
    if payload is None or b"\n" in payload:
        return entry.encode() + b"\n"
    return b"".join((entry.encode(), b"\n", _PAYLOAD, payload, b"\n"))


def session_end(one: SessionEnd) -> bytes:
    """Return the line after a session's events."""
    notes = [str(each) for each in one.countersigned]
    return _line(
        {
            "session": one.session,
            "events": one.events,
            "beyond": one.beyond,
            "head": str(one.head),
            "countersigned": notes,
        }
    )


def run_end(one: RunEnd) -> bytes:
    """Return the last line."""
    return _line({"head": str(one.head)})


def read(lines: Iterable[bytes]) -> Iterator[Line]:
    """Yield what lines mean, each with its end; the first is a `Beginning`, the last a `RunEnd`.

    Raises:
        NotAProof: The first line is not that of a proof.
        DamagedProof: The others are not, or some are missing.
    """
    found = iter(lines)
    yield _beginning(next(found, b""))
    is_over = False
    for number, line in enumerate(found, 2):
        if is_over:
            raise DamagedProof(f"line {number} comes after its end")
        if line[-1:] != b"\n":
            raise DamagedProof(f"line {number} was cut off")
        if line[:1] in _OF_EVENTS:  # nearly all of them
            yield line[:-1]
            continue
        end = _read_end(line, number)
        is_over = isinstance(end, RunEnd)
        yield end
    if not is_over:
        raise DamagedProof("its end is missing: it was cut off")


def _read_end(line: bytes, number: int) -> SessionEnd | RunEnd:
    try:
        return _end(json.loads(line))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedProof(f"line {number} is damaged") from error


def _end(values: Mapping[str, Any]) -> SessionEnd | RunEnd:
    head = Note.parse(str(values["head"]))
    if "session" not in values:
        return RunEnd(head)
    notes = tuple(Note.parse(str(each)) for each in values["countersigned"])
    return SessionEnd(str(values["session"]), int(values["events"]), int(values["beyond"]), head, notes)


def _beginning(line: bytes) -> Beginning:
    try:
        values = json.loads(line)
        if values["format"] != FORMAT:
            raise NotAProof("it is no proof that `prove` wrote")
        if values["version"] != VERSION:
            raise NotAProof(
                f"it is a proof of version {values['version']}; install a later offline-uploader to check it"
            )
        key = VerifierKey.parse(values["key"]) if values["key"] is not None else None
        return Beginning(str(values["run"]), str(values["called"]), key, _keys(values["witnesses"]))
    except NotAProof:
        raise
    except NotANote as error:
        raise DamagedProof(f"line 1 is damaged: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NotAProof("it is no proof that `prove` wrote") from error


def _keys(texts: Sequence[str]) -> tuple[VerifierKey, ...]:
    return tuple(VerifierKey.parse(each) for each in texts)


def _line(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, separators=(",", ":")).encode() + b"\n"
