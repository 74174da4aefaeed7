"""The store's tables for HUB's API: models, the metrics of their epochs, and their weights."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from uploader.server.storage.store_records import Epoch
from uploader.server.times import When

Kind = Literal["last", "best"]
"""`last` is the checkpoint that a training resumes from, `best` its final result."""

_PARTS = ("config", "dataset", "lineage", "meta")

# The same content again changes nothing, not even the time; unless a client tells when it was trained.
_PUT_EPOCH = """
    INSERT INTO hub_epochs (model_id, epoch, metrics, timestamp) VALUES (:model_id, :epoch, :metrics, :timestamp)
    ON CONFLICT (model_id, epoch) DO UPDATE SET metrics = excluded.metrics, timestamp = excluded.timestamp
    WHERE metrics <> excluded.metrics OR :is_told
"""
_PUT_WEIGHTS = """
    INSERT INTO hub_weights (model_id, kind, sha256, size, epoch, is_best, map, saved_at, arrived_at)
    VALUES (:model_id, :kind, :sha256, :size, :epoch, :is_best, :map, :saved_at, :arrived_at)
    ON CONFLICT (model_id, kind) DO UPDATE SET sha256 = excluded.sha256, size = excluded.size, epoch = excluded.epoch,
        is_best = excluded.is_best, map = excluded.map, saved_at = excluded.saved_at, arrived_at = excluded.arrived_at
    WHERE sha256 <> excluded.sha256 OR epoch <> excluded.epoch
        OR is_best <> excluded.is_best OR map IS NOT excluded.map
"""


@dataclass(frozen=True)
class HubModel:
    """A model of HUB. Times are ISO 8601 in UTC; `config` to `meta` are JSON objects as received.

    `created_at`, `updated_at` and `heartbeat_at` are when something arrived.

    Attributes:
        agent_id: Id that this server gave the machine that trains it, None before its first heartbeat.
        heartbeat_at: Time of the last heartbeat.
        started_at: When the training began.
        heard_at: When the newest thing that is known of it happened.
    """

    id: str
    config: dict[str, Any]
    dataset: dict[str, Any]
    lineage: dict[str, Any]
    meta: dict[str, Any]
    created_at: str
    updated_at: str
    agent_id: str | None = None
    heartbeat_at: str | None = None
    started_at: str | None = None
    heard_at: str | None = None


@dataclass(frozen=True)
class HubWeights:
    """A model's weights of one kind: their digest and size, their epoch (from 0), for the best their mAP, and times."""

    model_id: str
    kind: Kind
    sha256: str
    size: int
    epoch: int
    is_best: bool
    map: float | None
    saved_at: str
    arrived_at: str


class HubRows:
    """Queries on these tables, valid inside one `Store.write` or `Store.read` block."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def model(self, model_id: str) -> HubModel | None:
        """Return the model with this id."""
        return next(iter(self._models("WHERE id = ?", model_id)), None)

    def models(self, limit: int, before: str | None = None) -> list[HubModel]:
        """Return the newest models, newest first.

        Args:
            limit: Maximum number of models.
            before: Return only models created before the one with this id; none if there is no such model.
        """
        if before is None:
            return self._models("ORDER BY rowid DESC LIMIT ?", limit)
        made = "rowid < (SELECT rowid FROM hub_models WHERE id = ?)"
        return self._models(f"WHERE {made} ORDER BY rowid DESC LIMIT ?", before, limit)

    def count(self) -> int:
        """Return how many models there are."""
        return int(self._connection.execute("SELECT count(*) FROM hub_models").fetchone()[0])

    def insert(self, model: HubModel) -> None:
        """Add a model."""
        row = {name: json.dumps(value) if name in _PARTS else value for name, value in asdict(model).items()}
        marks = ", ".join(f":{name}" for name in row)
        self._connection.execute(f"INSERT INTO hub_models ({', '.join(row)}) VALUES ({marks})", row)  # noqa: S608

    def update(self, model_id: str, changes: Mapping[str, Any]) -> None:
        """Set fields of a model; the names are those of `HubModel`."""
        assignments = ", ".join(f"{name} = ?" for name in changes)
        values = [json.dumps(value) if name in _PARTS else value for name, value in changes.items()]
        self._connection.execute(f"UPDATE hub_models SET {assignments} WHERE id = ?", [*values, model_id])  # noqa: S608

    def delete(self, model_id: str) -> None:
        """Delete a model, its metrics and its weights."""
        self._connection.execute("DELETE FROM hub_models WHERE id = ?", [model_id])

    def put_epoch(self, model_id: str, epoch: int, metrics: Mapping[str, Any], when: When) -> None:
        """Store an epoch's metrics in place of earlier ones."""
        row = {"model_id": model_id, "epoch": epoch, "metrics": json.dumps(metrics), "timestamp": when.happened}
        self._connection.execute(_PUT_EPOCH, {**row, "is_told": when.is_told})

    def hear(self, model: HubModel, when: When) -> None:
        """Record when something that is known of a training happened."""
        self.update(model.id, {"heard_at": max(model.heard_at or "", when.happened)})

    def epochs(self, model_id: str) -> dict[int, dict[str, Any]]:
        """Return a model's metrics by epoch, in order."""
        statement = "SELECT epoch, metrics FROM hub_epochs WHERE model_id = ? ORDER BY epoch"
        return {epoch: json.loads(text) for epoch, text in self._connection.execute(statement, [model_id])}

    def count_epochs(self, model_id: str) -> int:
        """Return the number of epochs that a model has metrics of."""
        statement = "SELECT count(*) FROM hub_epochs WHERE model_id = ?"
        return int(self._connection.execute(statement, [model_id]).fetchone()[0])

    def last_epochs(self, model_id: str, most: int) -> list[Epoch]:
        """Return the epochs with the highest numbers, in order."""
        statement = "SELECT epoch, metrics FROM hub_epochs WHERE model_id = ? ORDER BY epoch DESC LIMIT ?"
        found = self._connection.execute(statement, [model_id, most])
        return [Epoch(number, {"metrics": json.loads(metrics)}, "") for number, metrics in found][::-1]

    def put_weights(self, weights: HubWeights) -> None:
        """Store a model's weights of one kind in place of earlier ones."""
        self._connection.execute(_PUT_WEIGHTS, asdict(weights))

    def weights(self, model_id: str) -> dict[Kind, HubWeights]:
        """Return a model's weights by kind."""
        names = ", ".join(field.name for field in fields(HubWeights))
        statement = f"SELECT {names} FROM hub_weights WHERE model_id = ?"  # noqa: S608
        found = [HubWeights(*row) for row in self._connection.execute(statement, [model_id])]
        return {each.kind: each for each in found}

    def _models(self, where: str, *parameters: Any) -> list[HubModel]:
        names = [field.name for field in fields(HubModel)]
        statement = f"SELECT {', '.join(names)} FROM hub_models {where}"  # noqa: S608
        rows = [dict(zip(names, row, strict=True)) for row in self._connection.execute(statement, parameters)]
        return [HubModel(**{**row, **{part: json.loads(row[part]) for part in _PARTS}}) for row in rows]
