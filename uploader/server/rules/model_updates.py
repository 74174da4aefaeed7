"""Setting what a client, or a person at a page, wants of a model."""

from __future__ import annotations

from typing import Any

from uploader.server.rules import editing, training
from uploader.server.rules.editing import Edit
from uploader.server.storage.hub_store import HubModel
from uploader.server.storage.statements import Rows
from uploader.server.storage.store_records import Model


def update(rows: Rows, model: Model, wanted: dict[str, Any], now: str) -> None:
    """Set fields of a model. A field replaces what was there; an epoch, only the epoch of its number.

    Args:
        rows: The store's tables, in a writing transaction.
        model: The model.
        wanted: The fields, by the names of the API; see `editing.edit`.
        now: Current time, ISO 8601 in UTC.

    Raises:
        Invalid: A field has the wrong type or is too large, or none is known.
        NotHere: It asks for something that this server does not do.
        Conflict: It is to be cancelled, and has already ended.
    """
    edit = editing.edit(wanted, model, now)
    if edit.fields.get("status") == "cancelled" != model.status:
        training.cancel(rows, model, now)
    rows.update_model(model.id, edit.fields)
    put_epochs(rows, model, edit)


def put_epochs(rows: Rows, model: Model, edit: Edit) -> None:
    """Store the epochs of an edit."""
    for epoch in edit.epochs:
        rows.put_epoch(model.id, epoch)


def merge(rows: Rows, model: HubModel, parts: dict[str, dict[str, Any]], now: str) -> dict[str, dict[str, Any]]:
    """Merge fields into the parts of a model of HUB, and return these parts."""
    changes: dict[str, dict[str, Any]] = {name: {**getattr(model, name), **part} for name, part in parts.items()}
    rows.hub.update(model.id, {**changes, "updated_at": now})
    return changes
