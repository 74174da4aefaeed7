"""The records of the local platform, one class per table of its store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Status = Literal["pending", "untrained", "starting", "running", "completed", "failed", "cancelled"]
"""State of a model, as the SDK names them. `training_started` makes it running; no event changes `cancelled` (see
`rules.changes`). The first three are only ever set by a client."""


@dataclass(frozen=True)
class Model:
    """A model: what the trainings registered under its id have reported so far.

    Times are ISO 8601 in UTC. `created_at` and `updated_at` are those of arrival; the others are when things happened.
    `heard_at` is the newest of those. `train_args` to `error`, and `metadata`, are JSON values as received.
    `properties` are the values that clients set to describe the model, under the names of the API.
    """

    id: str
    owner: str
    project: str
    project_name: str
    slug: str
    name: str
    status: Status
    created_at: str
    updated_at: str
    started_at: str
    completed_at: str | None = None
    epochs: int | None = None
    device: str | None = None
    train_args: dict[str, Any] | None = None
    environment: dict[str, Any] | None = None
    system: dict[str, Any] | None = None
    model_info: dict[str, Any] | None = None
    progress: dict[str, Any] | None = None
    results: dict[str, Any] | None = None
    class_names: list[Any] | None = None
    plots: list[Any] | None = None
    error: dict[str, Any] | None = None
    rank: int | None = None
    metadata: dict[str, Any] | None = None
    properties: dict[str, Any] | None = None
    heard_at: str | None = None


@dataclass(frozen=True)
class Overview:
    """The part of a model that lists of many show."""

    id: str
    owner: str
    project: str
    project_name: str
    slug: str
    status: Status
    created_at: str
    updated_at: str
    started_at: str
    completed_at: str | None
    heard_at: str | None
    epochs: int | None
    train_args: dict[str, Any] | None
    results: dict[str, Any] | None
    error: dict[str, Any] | None
    metadata: dict[str, Any] | None
    properties: dict[str, Any] | None


@dataclass(frozen=True)
class Project:
    """What the models of a project say of it: its name, how many there are, and when the first and newest arrived."""

    owner: str
    project: str
    name: str
    models: int
    created_at: str
    updated_at: str


@dataclass(frozen=True)
class Run:
    """One training of a model: when it began, and when that arrived."""

    id: int
    started_at: str
    arrived_at: str


@dataclass(frozen=True)
class Epoch:
    """One `epoch_end`: its data as received, when the epoch ended, and when this content first arrived.

    `is_evaluation` is whether the client says that it is the final evaluation, None if it says nothing.
    """

    epoch: int
    data: dict[str, Any]
    timestamp: str
    arrived_at: str = ""
    is_evaluation: int | None = None


@dataclass(frozen=True)
class ConsoleChunk:
    """One `console_output`: its data as received, under the id that the client gave it, and its times as an epoch's."""

    chunk_id: int | str
    data: dict[str, Any]
    timestamp: str
    arrived_at: str = ""


@dataclass(frozen=True)
class Medium:
    """An image or a plot: its data as received, under its name and its step, and its times as an epoch's."""

    name: str
    step: int
    data: dict[str, Any]
    timestamp: str
    arrived_at: str = ""


@dataclass(frozen=True)
class Upload:
    """A file that a client may upload and, once it has arrived, its `sha256` and `size`.

    Attributes:
        declared_size: Size in bytes that the client announced, or None.
        declared_sha256: Digest that the client announced, as lower-case hex digits, or None.
        rank: The file's position in its run (see `ordering`), or None if the client sent no order.
        promotes: Whether the bytes become a checkpoint on arrival. Clients that know their run id announce it with
            `checkpoint_saved`; older ones send no such event.
        saved_at: When the client saved it, or None if it does not tell.
    """

    id: str
    model_id: str
    run_id: int
    filename: str
    path: str
    declared_size: int | None
    declared_sha256: str | None
    promotes: bool
    created_at: str
    sha256: str | None = None
    size: int | None = None
    rank: int | None = None
    saved_at: str | None = None


@dataclass(frozen=True)
class Checkpoint:
    """An upload that became a checkpoint of its run. `path` is the name that clients know it by."""

    id: int
    model_id: str
    run_id: int
    sha256: str
    size: int
    filename: str
    path: str
    saved_at: str
    rank: int | None = None
    arrived_at: str = ""
