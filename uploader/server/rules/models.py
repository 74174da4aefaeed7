"""Models as clients name them: by id, or by owner, project and name."""

from __future__ import annotations

import secrets
from itertools import chain, count
from typing import Any

from uploader.server.http_errors import NotFound
from uploader.server.rules.messages import Address, TrainingEvent, UploadRequest
from uploader.server.storage.statements import Rows
from uploader.server.storage.store_records import Model

CANCELLED = {
    "cancelled": True,
    "action": "training_terminated",
    "reason": "The model was cancelled on the platform",
}
"""Fields added to every answer about a cancelled model; clients then stop their training."""


def find(rows: Rows, target: TrainingEvent | UploadRequest) -> Model:
    """Return the model that a message is for.

    Raises:
        NotFound: There is none.
    """
    model = rows.model(target.model_id) if target.model_id is not None else at(rows, target.address)
    if model is None:
        name = target.model_id or _shown(target.address)
        raise NotFound(f"No model '{name}' here: it was never registered, or it was deleted")
    return model


def at(rows: Rows, address: Address | None) -> Model | None:
    """Return the model at an address, or None if there is none."""
    if address is None:
        return None
    # By name first: the client knows the name that it asked for, not that "train" became "train-2".
    place = (address.owner, address.project, address.name)
    return rows.model_by_name(*place) or rows.model_by_slug(*place)


def create(rows: Rows, address: Address, fields: dict[str, Any], now: str) -> Model:
    """Add a model at an address, or at its first free successor (`train-2`), and return it.

    Args:
        rows: The store's tables, in a writing transaction.
        address: The address asked for.
        fields: Further fields of the model.
        now: Current time, ISO 8601 in UTC.
    """
    model = Model(
        id=secrets.token_hex(12),
        owner=address.owner,
        project=address.project,
        project_name=address.project_name,
        slug=_free_slug(rows, address),
        name=address.name,
        created_at=now,
        **fields,
    )
    rows.insert_model(model)
    return model


def page_path(owner: str, project: str, slug: str) -> str:
    """Return the path of a model's page. Its last three parts also name the model in the read-back API."""
    return f"/runs/{owner}/{project}/{slug}"


def _shown(address: Address | None) -> str:
    return f"{address.owner}/{address.project}/{address.name}" if address else ""


def _free_slug(rows: Rows, address: Address) -> str:
    taken = rows.numbered_slugs(address.owner, address.project, address.name)
    numbered = (f"{address.name}-{number}" for number in count(2))
    return next(slug for slug in chain([address.name], numbered) if slug not in taken)
