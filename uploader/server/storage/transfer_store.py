"""The store's table of transfers: files that arrive in pieces."""

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
    """A file that arrives in pieces. How far it is, the size of its partial file says.

    Attributes:
        id: Its name in URLs, and that of its partial file.
        upload_id: The upload that it is for.
        size: Bytes of the whole file.
        sha256: Their digest as lower-case hex digits, None where nobody said it.
        metadata: What the client said of it, in the form of the header `Upload-Metadata`.
        expires: Unix seconds from which on it is given up.
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
    """Statements on this table, valid inside one `Store.write` or `Store.read` block."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, transfer_id: str) -> Transfer | None:
        """Return the transfer with this id."""
        return self._one("WHERE id = ?", transfer_id)

    def resumable(self, upload: Upload, now: float) -> Transfer | None:
        """Return the transfer of the bytes that an upload declared, for the same model and run, if there is one."""
        declared = (upload.declared_size, upload.declared_sha256)
        return self._one(_RESUMABLE, upload.model_id, upload.run_id, *declared, now)

    def insert(self, transfer: Transfer) -> None:
        """Add a transfer."""
        self._connection.execute("INSERT INTO transfers VALUES (?, ?, ?, ?, ?, ?, ?)", astuple(transfer))

    def hand_over(self, transfer_id: str, upload_id: str) -> None:
        """Let a transfer be for another upload from now on."""
        self._connection.execute("UPDATE transfers SET upload_id = ? WHERE id = ?", [upload_id, transfer_id])

    def finish(self, transfer_id: str) -> None:
        """Record that the file is stored."""
        self._connection.execute("UPDATE transfers SET finished = 1 WHERE id = ?", [transfer_id])

    def delete(self, transfer_id: str) -> None:
        """Remove a transfer."""
        self._connection.execute("DELETE FROM transfers WHERE id = ?", [transfer_id])

    def delete_expired(self, now: float) -> list[str]:
        """Remove every transfer whose time is over at `now` (Unix seconds), and return their ids."""
        ids = [row[0] for row in self._connection.execute("SELECT id FROM transfers WHERE expires <= ?", [now])]
        for each in ids:
            self.delete(each)
        return ids

    def unfinished(self) -> set[str]:
        """Return the ids of the transfers whose partial files are needed."""
        return {row[0] for row in self._connection.execute("SELECT id FROM transfers WHERE NOT finished")}

    def _one(self, where: str, *parameters: object) -> Transfer | None:
        names = ", ".join(f"transfers.{field.name}" for field in fields(Transfer))
        row = self._connection.execute(f"SELECT {names} FROM transfers {where}", parameters).fetchone()  # noqa: S608
        return row and Transfer(*row)
