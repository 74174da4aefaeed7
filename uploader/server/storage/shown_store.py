"""What pages show of trainings: read by lines and pieces, so that no list and no open page reads all of a training."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from uploader.server.storage import record_table
from uploader.server.storage.store_records import Checkpoint, ConsoleChunk, Epoch, Overview

_HEARD_AT = """
    SELECT max(coalesce(heard_at, updated_at),
        coalesce((SELECT timestamp FROM epochs WHERE model_id = :id ORDER BY epoch DESC LIMIT 1), ''),
        coalesce((SELECT timestamp FROM console WHERE model_id = :id ORDER BY chunk_id DESC LIMIT 1), ''))
    FROM models WHERE id = :id
"""
_NEWEST = "(SELECT max(arrived_at) FROM (SELECT arrived_at FROM {} WHERE model_id = :id ORDER BY {} DESC LIMIT 100))"
_ARRIVED_AT = f"""
    SELECT max(updated_at, coalesce({_NEWEST.format("epochs", "epoch")}, ''),
        coalesce({_NEWEST.format("console", "chunk_id")}, ''), coalesce({_NEWEST.format("checkpoints", "id")}, ''))
    FROM models WHERE id = :id
"""  # noqa: S608 - constants of this module
# Whatever else stands there: JSON can carry half of a surrogate pair, which SQLite hands out as text that is no UTF-8.
_TIMES = """
    SELECT epoch, timestamp, arrived_at, is_evaluation,
        CASE json_type(data, '$.source') WHEN 'text' THEN 'told' END,
        CASE WHEN json_type(data, '$.fitness') IN ('integer', 'real') THEN json_extract(data, '$.fitness') END
    FROM epochs WHERE model_id = ? ORDER BY epoch
"""
_OTHERS = """
    WHERE model_id = ? AND (instr(data, '"nonFinite"') OR instr(data, '"values"')) ORDER BY epoch DESC LIMIT ?
"""
_LAST = 2**63 - 1  # the largest number that SQLite stores


class ShownRows:
    """Queries for pages, valid inside one `Store.read` or `Store.look` block."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def overviews(self) -> list[Overview]:
        """Return all models, as lists show them."""
        return [self._heard(each) for each in record_table.select(self._connection, Overview, "")]

    def overview(self, model_id: str) -> Overview | None:
        """Return one model so."""
        found = record_table.first(self._connection, Overview, "WHERE id = ?", model_id)
        return found and self._heard(found)

    def count_epochs(self, model_id: str, below: int | None) -> int:
        """Return how many epochs have arrived of a model, perhaps only of those below a number."""
        query = "SELECT count(*) FROM epochs WHERE model_id = ? AND (? IS NULL OR epoch < ?)"
        return int(self._connection.execute(query, [model_id, below, below]).fetchone()[0])

    def last_epoch_below(self, model_id: str, total: int) -> Epoch | None:
        """Return a model's last epoch below a number."""
        where = "WHERE model_id = ? AND epoch < ? ORDER BY epoch DESC LIMIT 1"
        return record_table.first(self._connection, Epoch, where, model_id, total)

    def arrived_at(self, model_id: str) -> str:
        """Return when the newest thing that is known of a model arrived."""
        return str(self._connection.execute(_ARRIVED_AT, {"id": model_id}).fetchone()[0])

    def times(self, model_id: str) -> list[Epoch]:
        """Return a model's epochs in order: the last two whole, of others what tells their times and their fitness."""
        rows = self._connection.execute(_TIMES, [model_id])
        found = [
            Epoch(number, {"source": source, "fitness": fitness}, ended, arrived, is_evaluation)
            for number, ended, arrived, is_evaluation, source, fitness in rows
        ]
        return found[:-2] + self.last_epochs(model_id)

    def last_epochs(self, model_id: str) -> list[Epoch]:
        """Return a model's last two epochs, in order: these tell whether the last one is the final evaluation."""
        where = "WHERE model_id = ? ORDER BY epoch DESC LIMIT 2"
        return record_table.select(self._connection, Epoch, where, model_id)[::-1]

    def epochs(self, model_id: str, numbers: Sequence[int], beyond: int = _LAST) -> list[Epoch]:
        """Return the epochs of these numbers, and those beyond another one, in order."""
        where = "WHERE model_id = ? AND (epoch > ? OR epoch IN (SELECT value FROM json_each(?))) ORDER BY epoch"
        return record_table.select(self._connection, Epoch, where, model_id, beyond, json.dumps(list(numbers)))

    def numbers(self, model_id: str) -> list[int]:
        """Return the numbers of a model's epochs, in order."""
        return self._numbers("epochs", model_id)

    def others(self, model_id: str, most: int) -> list[Epoch]:
        """Return the newest epochs that may have told something else than finite numbers, the newest first."""
        return record_table.select(self._connection, Epoch, _OTHERS, model_id, most)

    def chunks_after(self, model_id: str, chunk_id: int | str | None, most: int) -> list[ConsoleChunk]:
        """Return the pieces of text that follow one, or the first ones, in order."""
        after = "" if chunk_id is None else "AND chunk_id > ?"
        parameters = [model_id, *([] if chunk_id is None else [chunk_id]), most]
        where = f"WHERE model_id = ? {after} ORDER BY chunk_id LIMIT ?"
        return record_table.select(self._connection, ConsoleChunk, where, *parameters)

    def checkpoint(self, model_id: str, sha256: str) -> Checkpoint | None:
        """Return a model's newest checkpoint of this content."""
        where = "WHERE model_id = ? AND sha256 = ? ORDER BY id DESC LIMIT 1"
        return record_table.first(self._connection, Checkpoint, where, model_id, sha256)

    # HUB

    def hub_numbers(self, model_id: str) -> list[int]:
        """Return the numbers of the epochs of a model of HUB, in order."""
        return self._numbers("hub_epochs", model_id)

    def hub_epochs(self, model_id: str, numbers: Sequence[int], beyond: int = _LAST) -> list[Epoch]:
        """Return epochs of a model of HUB as `epochs` does."""
        query = """SELECT epoch, metrics, timestamp FROM hub_epochs WHERE model_id = ?
                   AND (epoch > ? OR epoch IN (SELECT value FROM json_each(?))) ORDER BY epoch"""
        rows = self._connection.execute(query, [model_id, beyond, json.dumps(list(numbers))])
        return [Epoch(number, {"metrics": json.loads(metrics)}, time) for number, metrics, time in rows]

    def _numbers(self, table: str, model_id: str) -> list[int]:
        query = f"SELECT epoch FROM {table} WHERE model_id = ? ORDER BY epoch"  # noqa: S608 - names of this module
        return [row[0] for row in self._connection.execute(query, [model_id])]

    def _heard(self, model: Overview) -> Overview:
        heard_at = self._connection.execute(_HEARD_AT, {"id": model.id}).fetchone()[0]
        return replace(model, heard_at=heard_at)
