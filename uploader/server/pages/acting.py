"""What a person at a page does to a model: by the rules by which clients do the same over the API."""

from __future__ import annotations

from typing import Any

from uploader.dashboard.run_source import Refused
from uploader.dashboard.shown import Action
from uploader.server.http_errors import ApiError, Invalid
from uploader.server.rules import model_updates, training
from uploader.server.rules.editing import MAX_NAME, checked_line
from uploader.server.storage.hub_store import HubModel
from uploader.server.storage.statements import Rows
from uploader.server.storage.store_records import Model

_LONGEST_TAG = 100
_MOST_TAGS = 100


def act(rows: Rows, model: Model, action: Action, value: Any, now: str) -> None:
    """Do something to a model of the platform.

    Raises:
        Refused: That cannot be done, or not with this value.
    """
    try:
        if action == "stop":
            training.cancel(rows, model, now)
        elif action == "delete":
            rows.delete_model(model.id)
        else:
            model_updates.update(rows, model, _wanted(model, action, value), now)
    except ApiError as error:
        raise Refused(str(error)) from error


def act_on_hub(rows: Rows, model: HubModel, action: Action, value: Any, now: str) -> None:
    """Do something to a model of HUB.

    Raises:
        Refused: That cannot be done, or not with this value.
    """
    if action == "stop":
        raise Refused("HUB's clients cannot be told to stop: end the training where it runs")
    if action == "delete":
        rows.hub.delete(model.id)
        return
    name = "name" if action == "rename" else action
    model_updates.merge(rows, model, {"meta": {name: _checked(action, value)}}, now)


def _wanted(model: Model, action: Action, value: Any) -> dict[str, Any]:
    """Return the fields of the API that an action sets."""
    checked = _checked(action, value)
    return {"name": checked} if action == "rename" else {"metadata": {**(model.metadata or {}), action: checked}}


def _checked(action: Action, value: Any) -> Any:
    if action == "tags":
        return _tags(value)
    if not isinstance(value, str) or (action == "rename" and not value.strip()):
        raise Refused("A name needs at least one letter" if action == "rename" else "A note is a text")
    return _line(value, "The name", MAX_NAME) if action == "rename" else value


def _tags(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(tag, str) and tag.strip() for tag in value):
        raise Refused("Tags are texts, each with at least one letter")
    tags = list(dict.fromkeys(_line(tag, "The tag", _LONGEST_TAG) for tag in value))
    if len(tags) > _MOST_TAGS:
        raise Refused(f"These are {len(tags):,} tags: there may be {_MOST_TAGS}")
    return tags


def _line(value: str, what: str, most: int) -> str:
    try:
        return checked_line(value.strip(), what, most)
    except Invalid as error:
        raise Refused(str(error)) from error
