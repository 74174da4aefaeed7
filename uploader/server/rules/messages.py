"""Request bodies, validated and parsed into typed values. Pure functions, no I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from uploader.server.http_errors import Invalid
from uploader.server.storage.ordering import Order
from uploader.server.times import When
from uploader.slugs import readable

EVENTS = frozenset(
    {
        "training_started",
        "training_progress",
        "epoch_end",
        "system_metrics",
        "console_output",
        "checkpoint_saved",
        "training_complete",
        "training_failed",
    }
)
"""Events of `POST /api/webhooks/training/metrics`, as listed by the SDK 0.1.99."""

MEDIA = "media"
"""An event of ours: an image or a plot of a loop."""
SHOWN = (MEDIA, "summary")
"""What clients are told that this server shows beyond what the SDK knows: `media`, and `summary` in results."""

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_INTEGERS = range(-(2**63), 2**63)  # the range of SQLite's INTEGER


@dataclass(frozen=True)
class Address:
    """A model's address, `owner/project/name`, all three as slugs; and the project's name as it was written."""

    owner: str
    project: str
    name: str
    project_name: str


@dataclass(frozen=True)
class TrainingEvent:
    """One event and its model, which is named by `model_id` or else by `address`."""

    event: str
    data: dict[str, Any]
    model_id: str | None
    address: Address | None
    when: When
    order: Order | None = None
    is_evaluation: bool | None = None


@dataclass(frozen=True)
class UploadRequest:
    """A request to upload one file. Without `run_id` it is from an older client, which sends no event afterwards."""

    filename: str
    size: int | None
    sha256: str | None
    run_id: int | None
    model_id: str | None
    address: Address | None
    when: When
    order: Order | None = None


def training_event(
    body: Any, default_owner: str, when: When, order: Order | None = None, *, evaluation: str | None = None
) -> TrainingEvent:
    """Parse a training event.

    Args:
        body: The request's body.
        default_owner: Whose the model is, where that is not said.
        when: When the event came and happened.
        order: Its position in its run.
        evaluation: What the client says of an epoch: `yes` if it is the final evaluation, `no` if it is not.

    Raises:
        Invalid: A field is missing or has the wrong type, or the event is unknown.
    """
    fields = mapping(body, "The body")
    event = text(fields.get("event"), "event")
    if event not in EVENTS and event != MEDIA:
        raise Invalid(f"'event' must be one of {', '.join(sorted(EVENTS))}")
    data = mapping(fields.get("data", {}), "'data'")
    model_id, address = _target(fields, default_owner)
    is_evaluation = {"yes": True, "no": False}.get(evaluation or "")
    return TrainingEvent(event, data, model_id, address, when, order, is_evaluation)


def upload_request(body: Any, default_owner: str, when: When, order: Order | None = None) -> UploadRequest:
    """Parse a request for an upload URL.

    Raises:
        Invalid: A field is missing or has the wrong type.
    """
    fields = mapping(body, "The body")
    model_id, address = _target(fields, default_owner)
    return UploadRequest(
        filename=safe_filename(text(fields.get("filename"), "filename")),
        size=optional_integer(fields, "size", minimum=0),
        sha256=_optional_sha256(fields),
        run_id=optional_integer(fields, "runId"),
        model_id=model_id,
        address=address,
        when=when,
        order=order,
    )


def slugify(value: str) -> str:
    """Return `value` as a slug: lower case, words joined by hyphens, at most 128 characters."""
    kept = re.sub(r"[^a-z0-9\s-]", "", value.lower())
    return re.sub(r"[\s-]+", "-", kept).strip("-")[:128]


def safe_filename(value: str) -> str:
    """Return the last component of a path, reduced to letters, digits, dots, underscores and hyphens.

    Raises:
        Invalid: No character is left.
    """
    name = re.sub(r"[^A-Za-z0-9._-]", "_", re.split(r"[/\\]", value)[-1]).lstrip(".")[-128:]
    if not name:
        raise Invalid("'filename' must name a file")
    return name


def mapping(value: Any, what: str) -> dict[str, Any]:
    """Return `value` if it is a JSON object, or an empty one for null; else raise `Invalid`."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Invalid(f"{what} must be a JSON object")
    return value


def text(value: Any, what: str) -> str:
    """Return `value` if it is a string that is not blank, else raise `Invalid`."""
    if not isinstance(value, str) or not value.strip():
        raise Invalid(f"'{what}' must be a string")
    return value


def optional_integer(fields: dict[str, Any], name: str, minimum: int = _INTEGERS.start) -> int | None:
    """Return an integer field of at least `minimum` (1.0 is one), or None if it is absent; else raise `Invalid`."""
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value not in _INTEGERS or value < minimum:
        raise Invalid(f"'{name}' must be an integer of at least {minimum}, and below 2**63")
    return value


def _optional_sha256(fields: dict[str, Any]) -> str | None:
    value = fields.get("sha256")
    if value is None:
        return None
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise Invalid("'sha256' must have 64 hexadecimal digits")
    return value.lower()


def _target(fields: dict[str, Any], default_owner: str) -> tuple[str | None, Address | None]:
    if fields.get("modelId") is not None:
        return text(fields["modelId"], "modelId"), None
    if fields.get("project") is None:
        raise Invalid("'modelId' or 'project' is required to identify the model")
    project, name = text(fields["project"], "project"), fields.get("name") or "train"
    return None, address(project, name, default_owner, given=_given_project(fields))


def address(project: str, name: Any, default_owner: str, *, given: object = None) -> Address:
    """Return the address of a model. The project may name its owner: `OWNER/PROJECT`.

    Args:
        project: The project.
        name: The model's name.
        default_owner: The owner where the project names none.
        given: As for `readable`.

    Raises:
        Invalid: A slug made of one of them is empty.
    """
    owner, slash, rest = project.partition("/")
    if not (slash and slugify(owner) and slugify(rest)):
        owner, rest = default_owner, project
    project_slug, name_slug = slugify(rest.replace("/", "-")), slugify(text(name, "name"))
    if not (project_slug and name_slug):
        raise Invalid("'project' and 'name' need at least one letter or digit each")
    return Address(slugify(owner), project_slug, name_slug, project_name=readable(rest, given))


def _given_project(fields: dict[str, Any]) -> object:
    data = fields.get("data")
    told = data.get("trainArgs") if isinstance(data, dict) else None
    return told.get("project") if isinstance(told, dict) else None
