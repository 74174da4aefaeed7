"""Which run a checkpoint file or a folder belongs to, as far as the journal knows.

A file is recognised by its size and time when it was saved, or by its bytes, wherever it is now. A folder is recognised
by its path, and only on the machine that wrote to it: another one may have another folder there.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Row, TextClause, bindparam, text

from journal.checkpoints.blobs import digest, file_stamp
from journal.checkpoints.salvage import stamped
from journal.clock import utc_now
from journal.encoding import storable
from journal.kinds import CHECKPOINT, EPOCH, MODEL_SAVED, REGISTRATION
from journal.records import MODEL_ID
from journal.sessions.identity import Newest
from journal.sessions.liveness import live_sessions
from journal.storage.backend import Begin

_SAVED = text(
    """
    SELECT e.run_id, s.generation, s.uuid
    FROM events e JOIN sessions s ON s.id = e.session_id,
         json_each(CASE WHEN json_valid(e.payload) THEN e.payload ELSE '{}' END, '$.files') f
    WHERE e.kind = :kind AND f.type = 'object'
      AND json_extract(f.value, '$.size') = :size AND json_extract(f.value, '$.mtimeNs') = :mtimeNs
    ORDER BY e.id DESC LIMIT 1
    """
).bindparams(kind=MODEL_SAVED)
# Also of events whose bytes are not in the journal: it was just restored from a mirror, and they come later.
_OF_SIZE = text(
    f"""
    SELECT sha256 FROM blobs WHERE size = :size
    UNION
    SELECT json_extract(payload, '$.sha256') FROM events
    WHERE kind = '{CHECKPOINT}' AND json_valid(payload) AND json_extract(payload, '$.size') = :size
    """  # noqa: S608 - names of this package
)
_SNAPSHOTTED = text(
    f"""
    SELECT e.run_id, s.generation, s.uuid FROM events e JOIN sessions s ON s.id = e.session_id
    WHERE e.kind = '{CHECKPOINT}' AND json_valid(e.payload) AND json_extract(e.payload, '$.sha256') = :sha256
    ORDER BY e.id DESC LIMIT 1
    """  # noqa: S608 - names of this package
)
_IN_FOLDER = text(
    """
    SELECT r.id FROM runs r
    WHERE r.save_dir = :save_dir AND (:before IS NULL OR r.created_at <= :before)
      AND (SELECT s.host FROM sessions s WHERE s.run_id = r.id AND s.purpose IS NULL
           ORDER BY s.generation DESC, s.id DESC LIMIT 1) = :host
    ORDER BY r.created_at DESC LIMIT 1
    """
)

_OF_MODEL = text(
    f"""
    SELECT run_id FROM targets WHERE json_valid(ids) AND json_extract(ids, '$.{MODEL_ID}') = :model
    UNION
    SELECT run_id FROM events WHERE kind = :kind AND json_valid(payload)
      AND json_extract(payload, '$.environment.platformModel') = :model
    """  # noqa: S608 - a name of this package
).bindparams(kind=REGISTRATION)
# A session that has ended without any event has not continued the run: its trainer refused, or it was killed.
_NEWER = text(
    """
    SELECT generation, uuid,
           (SELECT CASE WHEN json_valid(payload) THEN json_extract(payload, '$.trainArgs.save_dir') END FROM events e
            WHERE e.session_id = s.id AND e.kind = :kind ORDER BY e.id LIMIT 1) AS save_dir
    FROM sessions s
    WHERE run_id = :run_id AND purpose IS NULL
      AND (id IN :live OR EXISTS (SELECT 1 FROM events e WHERE e.session_id = s.id))
      AND (generation > :generation OR (generation = :generation AND uuid != :uuid
                                        AND NOT EXISTS (SELECT 1 FROM sessions WHERE uuid = :uuid)))
    ORDER BY generation DESC, id DESC LIMIT 1
    """
).bindparams(bindparam("live", expanding=True), kind=REGISTRATION)
_LIVES = text("SELECT 1 FROM sessions WHERE uuid = :uuid AND id IN :live").bindparams(bindparam("live", expanding=True))
_EPOCHS = text(
    """
    SELECT key, payload FROM (
      SELECT e.key, e.payload, row_number() OVER (PARTITION BY e.key ORDER BY s.generation DESC, e.seq DESC) AS place
      FROM events e JOIN sessions s ON s.id = e.session_id
      WHERE e.run_id = :run_id AND e.kind = :kind AND json_valid(e.payload) AND s.generation <= :generation
    ) WHERE place = 1 ORDER BY CAST(key AS INTEGER)
    """
).bindparams(kind=EPOCH)
_RECORDED = text("SELECT 1 FROM events WHERE run_id = :run_id LIMIT 1")


@dataclass(frozen=True)
class Newer:
    """A session that continued a run.

    Attributes:
        uuid: The session's.
        save_dir: The folder that it trained into; None if it is not known.
    """

    uuid: str
    save_dir: str | None


class Recognition:
    """What a journal knows of files, folders and models."""

    def __init__(self, begin: Begin) -> None:
        """Prepare; `begin` begins a transaction of the journal."""
        self._begin = begin

    def saved(self, checkpoint: Path) -> tuple[str, Newest] | None:
        """Return the run, and the session of it, that saved this file, or one with the same bytes; else None."""
        found = file_stamp(checkpoint)
        if found is None:
            return None
        row = self._first(_SAVED, **stamped(found)) or self._with_bytes(checkpoint, found[1])
        return (row.run_id, Newest(row.generation, row.uuid)) if row else None

    def in_folder(self, save_dir: Path, before: str | None = None) -> str | None:
        """Return the newest run that this machine wrote to a folder, else None.

        Args:
            save_dir: The folder.
            before: A time by which the run had begun, ISO.
        """
        row = self._first(_IN_FOLDER, save_dir=storable(str(save_dir)), before=before, host=platform.node())
        return row.id if row else None

    def newer_session(self, run_id: str, known: Newest) -> Newer | None:
        """Return the run's newest session that is no ancestor of a known one, None if there is none."""
        with self._begin(read_only=True) as connection:
            live = live_sessions(connection, utc_now())
        row = self._first(_NEWER, run_id=run_id, generation=known.generation, uuid=known.uuid, live=live)
        return Newer(row.uuid, row.save_dir if isinstance(row.save_dir, str) else None) if row else None

    def lives(self, session: str | None) -> bool:
        """Return whether the session with this uuid is alive, as far as is known."""
        with self._begin(read_only=True) as connection:
            live = live_sessions(connection, utc_now())
        return self._first(_LIVES, uuid=session, live=live) is not None

    def runs_of_model(self, model_id: str) -> set[str]:
        """Return the runs that continue this model of a platform, or will when they are delivered."""
        with self._begin(read_only=True) as connection:
            return set(connection.execute(_OF_MODEL, {"model": model_id}).scalars())

    def epochs(self, run_id: str, through: Newest) -> tuple[tuple[str, str], ...]:
        """Return number and payload of the epochs that a run had at the end of one of its sessions."""
        with self._begin(read_only=True) as connection:
            rows = connection.execute(_EPOCHS, {"run_id": run_id, "generation": through.generation})
            return tuple((row.key, row.payload) for row in rows)

    def has_run(self, run_id: str) -> bool:
        """Return whether anything of a run is recorded."""
        return self._first(_RECORDED, run_id=run_id) is not None

    def _with_bytes(self, file: Path, size: int) -> Row[Any] | None:
        """Return who saved these bytes; the file is hashed only if a blob of its size is known."""
        with self._begin(read_only=True) as connection:
            known = set(connection.execute(_OF_SIZE, {"size": size}).scalars())
        sha256 = digest(file) if known else None
        return self._first(_SNAPSHOTTED, sha256=sha256) if sha256 in known else None

    def _first(self, query: TextClause, **values: Any) -> Row[Any] | None:
        with self._begin(read_only=True) as connection:
            return connection.execute(query, values).first()
