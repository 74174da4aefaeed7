"""The store's table of answers by idempotency key."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

_FORGET = "DELETE FROM answers WHERE model_id IN (SELECT id FROM models WHERE completed_at < ?)"


class AnswerRows:
    """Queries on this table, valid inside one `Store.write` or `Store.read` block."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, scope: str, key: str) -> tuple[str, dict[str, Any]] | None:
        """Return the request's digest and its first answer for an idempotency key."""
        statement = "SELECT digest, answer FROM answers WHERE scope = ? AND key = ?"
        row = self._connection.execute(statement, [scope, key]).fetchone()
        return (row[0], json.loads(row[1])) if row else None

    def insert(self, scope: str, key: str, digest: str, answer: dict[str, Any], model_id: str | None = None) -> None:
        """Store the first answer for an idempotency key.

        Args:
            scope: Method and path.
            key: The client's key.
            digest: SHA-256 of the request's body.
            answer: The answer.
            model_id: The model whose deletion also deletes the answer; None to keep it.
        """
        statement = "INSERT INTO answers (scope, key, digest, answer, model_id) VALUES (?, ?, ?, ?, ?)"
        self._connection.execute(statement, [scope, key, digest, json.dumps(answer), model_id])

    def forget(self, ended_before: str) -> None:
        """Delete the answers about models whose training ended before a time (ISO 8601)."""
        self._connection.execute(_FORGET, [ended_before])
