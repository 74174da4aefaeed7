"""The store's tables of heads that this platform has countersigned, one for each session, and of announced keys.

It forgets no head, also when its model goes: whoever could delete a model could otherwise have another history
countersigned. The keys go with the model.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from uploader.server.storage import record_table

_PUT = """
    INSERT INTO witnessed (origin, key, size, root, note) VALUES (:origin, :key, :size, :root, :note)
    ON CONFLICT (origin) DO UPDATE SET size = excluded.size, root = excluded.root, note = excluded.note
"""
# A registration's environment is not the model's for long: the next session's takes its place, with its machine's key.
_ANNOUNCE = """
    INSERT OR IGNORE INTO announced
    SELECT :model, json_extract(:told, '$.uploaderRun'), json_extract(:told, '$.uploaderProofKey')
    WHERE json_type(:told, '$.uploaderRun') = 'text' AND json_type(:told, '$.uploaderProofKey') = 'text'
"""
_ANNOUNCED = "SELECT DISTINCT CAST(key AS BLOB) FROM announced WHERE run = ?"
_KEPT = """
    SELECT DISTINCT CAST(json_extract(metadata, '$.offlineUploader.head') AS BLOB) FROM models
    WHERE json_extract(environment, '$.uploaderRun') = ? AND json_type(metadata, '$.offlineUploader.head') = 'text'
"""


@dataclass(frozen=True)
class Witnessed:
    """The newest head of a session that was countersigned.

    Attributes:
        origin: The name of the session's tree.
        key: The key that signed its first head, as text; it has to sign all further ones.
        size: How many events the tree has.
        root: Its root hash.
        note: The checkpoint with its signatures and this platform's cosignature.
    """

    origin: str
    key: str
    size: int
    root: bytes
    note: str


class WitnessRows:
    """Queries on these tables, valid inside one `Store.write` or `Store.read` block."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, origin: str) -> Witnessed | None:
        """Return the newest head of a session's tree."""
        query = "SELECT origin, key, size, root, note FROM witnessed WHERE origin = ?"
        row = self._connection.execute(query, [origin]).fetchone()
        return Witnessed(*row) if row else None

    def put(self, head: Witnessed) -> None:
        """Store a newer one."""
        self._connection.execute(_PUT, vars(head))

    def notes(self, prefix: str) -> list[str]:
        """Return the newest notes of all trees whose names begin so."""
        query = "SELECT note FROM witnessed WHERE substr(origin, 1, ?) = ? ORDER BY origin"
        return [note for (note,) in self._connection.execute(query, [len(prefix), prefix])]

    def announce(self, model_id: str, environment: object) -> None:
        """Keep the key that a registration of a model tells of its run, if it tells one."""
        told = record_table.encode("environment", environment)
        self._connection.execute(_ANNOUNCE, {"model": model_id, "told": told})

    def announced_keys(self, run: str) -> list[str]:
        """Return the keys that trainings of a run have announced, each in its registration."""
        return self._told(_ANNOUNCED, run)

    def kept_heads(self, run: str) -> list[str]:
        """Return the heads of a run that its models keep in their metadata."""
        return self._told(_KEPT, run)

    def _told(self, query: str, run: str) -> list[str]:
        found = self._connection.execute(query, [run])
        return [text for (told,) in found if (text := _text(told)) is not None]


def _text(told: bytes) -> str | None:
    """Return a text; None for what is none in UTF-8, as half of a surrogate pair, which JSON can carry."""
    try:
        return told.decode("utf-8")
    except UnicodeDecodeError:
        return None
