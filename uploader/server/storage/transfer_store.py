"""The store's table of transfers, that is, resumable uploads."""

from __future__ import annotations

import sqlite3
from dataclasses import astuple, dataclass, fields

from uploader.server.storage.store_records import Upload

# A finished one counts for as long as its upload still has its bytes.
_RESUMABLE = """
    JOIN uploads ON uploads.id = upload_id
    WHERE model_id = ? AND run_id = ? AND transfers.size = ? AND transfers.sha256 = ? AND expires > ?
        AND (NOT finished OR uploads.sha256 = transfers.sha256)
    ORDER BY finished DESC, transfers.rowid DESC LIMIT 1
"""


@dataclass(frozen=True)
class Transfer:
    """A resumable upload of one file. The size of its partial file is how far it has got.

    Attributes:
        id: Its name in URLs, and the name of its partial file.
        upload_id: The upload that it belongs to.
        size: Size of the whole file in bytes.
        sha256: Digest of the whole file as lower-case hex digits, or None if not announced.
        metadata: The header `Upload-Metadata`, as received.
        expires: When it expires, in Unix seconds.
        finished: Whether the file is stored.
    """

    id: str
    upload_id: str
    size: int
    sha256: str | None
    metadata: str
    expires: int
    finished: bool = False


class TransferRows:
    """Queries on this table, valid inside one `Store.write` or `Store.read` block."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, transfer_id: str) -> Transfer | None:
        """Return the transfer with this id."""
        return self._one("WHERE id = ?", transfer_id)

    def resumable(self, upload: Upload, now: float) -> Transfer | None:
        """Return a transfer of the same bytes for the same model and run as an upload, or None."""
        declared = (upload.declared_size, upload.declared_sha256)
        return self._one(_RESUMABLE, upload.model_id, upload.run_id, *declared, now)

    def insert(self, transfer: Transfer) -> None:
        """Add a transfer."""
        self._connection.execute("INSERT INTO transfers VALUES (?, ?, ?, ?, ?, ?, ?)", astuple(transfer))

    def reassign(self, transfer_id: str, upload_id: str) -> None:
        """Assign a transfer to another upload."""
        self._connection.execute("UPDATE transfers SET upload_id = ? WHERE id = ?", [upload_id, transfer_id])

    def finish(self, transfer_id: str) -> None:
        """Record that the file is stored."""
        self._connection.execute("UPDATE transfers SET finished = 1 WHERE id = ?", [transfer_id])

    def delete(self, transfer_id: str) -> None:
        """Delete a transfer."""
        self._connection.execute("DELETE FROM transfers WHERE id = ?", [transfer_id])

    def delete_expired(self, now: float) -> list[str]:
        """Delete every transfer that has expired at `now` (Unix seconds), and return their ids."""
        ids = [row[0] for row in self._connection.execute("SELECT id FROM transfers WHERE expires <= ?", [now])]
        for each in ids:
            self.delete(each)
        return ids

    def unfinished(self) -> set[str]:
        """Return the ids of the transfers whose partial files are still needed."""
        return {row[0] for row in self._connection.execute("SELECT id FROM transfers WHERE NOT finished")}

    def _one(self, where: str, *parameters: object) -> Transfer | None:
        names = ", ".join(f"transfers.{field.name}" for field in fields(Transfer))
        row = self._connection.execute(f"SELECT {names} FROM transfers {where}", parameters).fetchone()  # noqa: S608
        return row and Transfer(*row)
