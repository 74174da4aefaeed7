"""Frozen values of the local platform, one for each table of its store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Status = Literal["running", "completed", "failed", "cancelled"]
"""State of a model. `training_started` makes it running; `cancelled` is left by no event (see `effects`)."""


@dataclass(frozen=True)
class Model:
    """A model as the platform keeps it: what the trainings registered under its id have reported so far.

    Times are ISO 8601 in UTC. `train_args` to `error` are the JSON values received, unchanged.
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


@dataclass(frozen=True)
class Overview:
    """One line about a model: where it is, how far, and how many epochs and checkpoints have arrived."""

    id: str
    owner: str
    project: str
    slug: str
    status: Status
    epochs: int | None
    started_at: str
    epochs_arrived: int
    checkpoints: int


@dataclass(frozen=True)
class Epoch:
    """One `epoch_end`: its data as received and the time (ISO 8601, UTC) at which this content arrived first."""

    epoch: int
    data: dict[str, Any]
    timestamp: str


@dataclass(frozen=True)
class ConsoleChunk:
    """One `console_output`: its data as received, under the id the client gave it."""

    chunk_id: int | str
    data: dict[str, Any]
    timestamp: str


@dataclass(frozen=True)
class Upload:
    """Permission to send one file, and, once it has arrived, which bytes (`sha256`, `size`) those were.

    Attributes:
        declared_size: How many bytes the client said it would send, None if it did not.
        declared_sha256: Their digest, as lower-case hex digits, None if it did not say.
        rank: Where the file belongs among the run's, see `ordering`; None if the client did not say.
        promotes: Whether the bytes become a checkpoint on arrival. Clients that hold a run id say so themselves with
            `checkpoint_saved`; older ones send no such event.
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


@dataclass(frozen=True)
class Checkpoint:
    """A promoted upload: the bytes `sha256` of `size` bytes belong to a run under `path`, the name given to clients."""

    id: int
    model_id: str
    run_id: int
    sha256: str
    size: int
    filename: str
    path: str
    saved_at: str
    rank: int | None = None
