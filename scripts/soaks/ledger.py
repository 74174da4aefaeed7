"""Acknowledged writes, and the check that they survived, for every suite.

A writer reports each call that returned, as one line on a socket that outlives it. After the fault, `inspect` opens the
journal with SQLite alone, not with the code under test, and compares.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import journal
from soaks.figures import Figures


@dataclass(frozen=True)
class Acknowledged:
    """One event whose write returned.

    Attributes:
        event_id: The id that the call returned.
        sha256: Digest of an event's payload text, or of a checkpoint's bytes.
        is_blob: Whether it is a checkpoint.
        is_text: Whether it is console text, which may be evicted.
    """

    event_id: int
    sha256: str
    is_blob: bool
    is_text: bool = False

    def line(self) -> bytes:
        """Return it as a line, short enough to be sent in one piece."""
        kind = "blob" if self.is_blob else "text" if self.is_text else "event"
        return f"{kind} {self.event_id} {self.sha256}\n".encode()


def parse(lines: bytes) -> list[Acknowledged]:
    """Parse complete lines; a last line without its end does not count."""
    whole = (line.decode().split() for line in lines.split(b"\n")[:-1])
    return [Acknowledged(int(event_id), sha256, kind == "blob", kind == "text") for kind, event_id, sha256 in whole]


def seal(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the payload with a digest of itself, so that unacknowledged events can be checked for completeness."""
    return {**payload, "seal": digest(journal.encode(payload))}


def event_acknowledged(event_id: int, payload: Mapping[str, Any], kind: str = "epoch_end") -> Acknowledged:
    """Return the acknowledgement of an event with this payload."""
    return Acknowledged(event_id, digest(journal.encode(payload)), is_blob=False, is_text=kind == "console_output")


@dataclass
class Tally(Figures):
    """The figures of one suite; all but the first three must be zero for durability `full`.

    Attributes:
        rounds: Number of faults.
        events: Acknowledged events.
        blobs: Acknowledged checkpoints.
        lost: Acknowledged events that are missing or different.
        torn: Events in the journal that are incomplete, acknowledged or not.
        blobs_lost: Checkpoints that the journal still needs, but that are missing or different.
        corrupt: Journals that SQLite reports as damaged, or that cannot be opened.
        holes: Lost events before one that was kept; only the newest events may be lost.
        broken: Writers that ended with an internal error.
        notes: Descriptions of the findings.
    """

    rounds: int = 0
    events: int = 0
    blobs: int = 0
    lost: int = 0
    torn: int = 0
    blobs_lost: int = 0
    corrupt: int = 0
    holes: int = 0
    broken: int = 0
    notes: list[str] = field(default_factory=list)

    def count(self, acknowledged: Iterable[Acknowledged]) -> None:
        """Add acknowledged writes."""
        for one in acknowledged:
            self.blobs += one.is_blob
            self.events += not one.is_blob

    def fail(self, failures: Iterable[str | None]) -> None:
        """Add writers that ended with an internal error."""
        found = [failure for failure in failures if failure]
        self.broken += len(found)
        self.notes += found

    @property
    def damaged(self) -> int:
        """Faults that are not allowed with any durability."""
        return self.torn + self.blobs_lost + self.corrupt + self.holes + self.broken


def total(tallies: Iterable[Tally]) -> Tally:
    """Return the sum of tallies."""
    result = Tally()
    for tally in tallies:
        result.add(tally)
    return result


def inspect(folder: Path, acknowledged: Iterable[Acknowledged]) -> Tally:
    """Compare a copy of a journal with the acknowledged writes.

    Args:
        folder: The journal; it need not exist.
        acknowledged: All acknowledged writes since the journal was created.
    """
    expected = {one.event_id: one for one in acknowledged}
    tally = Tally()
    database = folder / "journal.db"
    if not database.exists() or not database.stat().st_size:
        tally.lost = len(expected)
        return tally
    with TemporaryDirectory() as scratch:
        _judge(_copy(database, Path(scratch)), folder, expected, tally)
    return tally


def _copy(database: Path, scratch: Path) -> Path:
    """Copy the database with its log and rollback journal, as found after a reboot."""
    for name in ("journal.db", "journal.db-wal", "journal.db-journal"):
        source = database.with_name(name)
        if source.exists():
            shutil.copyfile(source, scratch / name)
    return scratch / "journal.db"


def _judge(database: Path, folder: Path, expected: Mapping[int, Acknowledged], tally: Tally) -> None:
    connection = sqlite3.connect(database)
    try:
        _check_file(connection, tally)
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'events'").fetchone():
            _check_events(connection, expected, tally)
            _check_blobs(connection, folder / "blobs", tally)
        else:
            tally.lost = len(expected)
    except sqlite3.Error as error:
        tally.corrupt += 1
        tally.notes.append(f"{folder}: {error}")
    finally:
        connection.close()


def _check_file(connection: sqlite3.Connection, tally: Tally) -> None:
    found = [row[0] for row in connection.execute("PRAGMA integrity_check")]
    found += [str(row) for row in connection.execute("PRAGMA foreign_key_check")]
    if found != ["ok"]:
        tally.corrupt += 1
        tally.notes += found


def _check_events(connection: sqlite3.Connection, expected: Mapping[int, Acknowledged], tally: Tally) -> None:
    kept = {row[0]: row[1:] for row in connection.execute("SELECT id, kind, payload FROM events")}
    last = max(kept, default=0)
    allowed = _given_up(connection, "console chunks")
    for event_id, one in expected.items():
        if one.is_text and event_id not in kept and allowed:
            allowed -= 1
            continue
        if event_id not in kept or _fingerprint(*kept[event_id]) != one.sha256:
            tally.lost += 1
            tally.holes += event_id < last
            tally.notes.append(f"event {event_id} is lost")
    for event_id, (kind, payload) in kept.items():
        if kind not in {"checkpoint", "given_up"} and not _is_whole(payload):
            tally.torn += 1
            tally.notes.append(f"event {event_id} is torn")


def _check_blobs(connection: sqlite3.Connection, blobs: Path, tally: Tally) -> None:
    """Check the checkpoints that the journal still needs: the newest of each run and role, and every final one.

    The newest is that of the newest session, even if an older session continues beside it and saves later. Checkpoints
    that are not final may have been evicted, if that was recorded. All other files with a blob's name must be intact.
    """
    query = """
        SELECT json_extract(payload, '$.sha256'), key != 'final' AND EXISTS (SELECT 1 FROM blobs b
            WHERE b.sha256 = json_extract(payload, '$.sha256') AND b.state = 'removed')
        FROM events e WHERE kind = 'checkpoint' AND (key = 'final' OR id =
            (SELECT n.id FROM events n JOIN sessions s ON s.id = n.session_id
             WHERE n.run_id = e.run_id AND n.kind = 'checkpoint' AND n.key = e.key
             ORDER BY s.generation DESC, n.seq DESC LIMIT 1))"""
    newest = connection.execute(query).fetchall()
    if sum(is_gone for _, is_gone in newest) > _given_up(connection, "checkpoints"):
        tally.blobs_lost += 1
        tally.notes.append("checkpoints were evicted without a record")
    needed = {sha256 for sha256, is_gone in newest if not is_gone}
    present = {path.name for path in blobs.iterdir() if not path.name.startswith(".")}
    for sha256 in needed - present:
        tally.blobs_lost += 1
        tally.notes.append(f"blob {sha256} is missing")
    for sha256 in present:
        if hashlib.sha256((blobs / sha256).read_bytes()).hexdigest() != sha256:
            tally.blobs_lost += 1
            tally.notes.append(f"blob {sha256} is torn")


def _given_up(connection: sqlite3.Connection, what: str) -> int:
    """Return how many things of a kind the journal recorded as evicted."""
    query = """
        SELECT sum(json_extract(item.value, '$.count')) FROM events e, json_each(e.payload, '$.items') item
        WHERE e.kind = 'given_up' AND json_extract(item.value, '$.what') = ?"""
    return connection.execute(query, [what]).fetchone()[0] or 0


def _fingerprint(kind: str, payload: str) -> str:
    return str(json.loads(payload)["sha256"]) if kind == "checkpoint" else digest(payload)


def _is_whole(payload: str) -> bool:
    try:
        content = json.loads(payload)
        return bool(content.pop("seal") == digest(journal.encode(content)))
    except (ValueError, KeyError, TypeError):
        return False


def digest(text: str) -> str:
    """Return the sha256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()
