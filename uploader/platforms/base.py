"""What every platform client is, and the values that go in and come out.

A client speaks one HTTP API. It turns one message or one upload into requests, and tells what came of it: a
`Receipt`, or one of the errors below `uploader.errors.DeliveryError`. It neither retries nor knows of the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

Progress = Callable[[int], None]
"""Told, from the uploading thread and for each block, how many bytes of an upload have been sent so far, or confirmed
where the server says how many it has. It may raise to end it."""

NOT_RESUMED = frozenset({"False", "None", "0", ""})
"""What the argument `resume` may be, as text, in a training that begins."""


@dataclass(frozen=True)
class Access:
    """How to reach one platform, as settings say.

    Attributes:
        url: Its base URL, without a trailing slash.
        key: Returns the key to send there, or raises `NoKey`.
        ca_bundle: File or folder of certificates to trust, or None for the usual ones.
    """

    url: str
    key: Callable[[], str]
    ca_bundle: str | None = None


@dataclass(frozen=True)
class Identity:
    """Who a delivery is about.

    Attributes:
        run_uuid: The run's id of this machine.
        project: The project's name.
        name: The run's name.
        ids: What the platform calls the run; empty until it was registered, or where the platform gives no ids.
        sessions: Uuids of the run's sessions that are known here; a registration needs them.
        former_projects: Where a registration was sent before, and may have been taken.
        has_gone_on: Whether there may be later sessions of the run than those that are known here.
    """

    run_uuid: str
    project: str
    name: str
    ids: Mapping[str, Any] = field(default_factory=dict)
    sessions: frozenset[str] = frozenset()
    former_projects: tuple[str, ...] = ()
    has_gone_on: bool = False


@dataclass(frozen=True)
class Known:
    """What a journal holds of a run.

    Attributes:
        sessions: Uuids of its sessions.
        generation: The highest of theirs.
        last_epoch: The last epoch; None where there is none, or that is not known any more.
        is_complete: Whether it has the training's end.
    """

    sessions: frozenset[str]
    generation: int
    last_epoch: int | None
    is_complete: bool


@dataclass(frozen=True)
class Message:
    """One small JSON message.

    Attributes:
        chunk_id: The idempotency key; every attempt at the same delivery has the same one.
        event: The event's name.
        data_json: The event's data, as JSON text of an object.
        identity: Who it is about.
        attempt: 1 for the first try. Above it, an earlier try may have arrived.
        order: Where it belongs in its run, for a platform that goes by that.
    """

    chunk_id: str
    event: str
    data_json: str
    identity: Identity
    attempt: int = 1
    order: str | None = None


@dataclass(frozen=True)
class Upload:
    """One file.

    Attributes:
        chunk_id: The idempotency key; every attempt at the same delivery has the same one.
        path: Where the bytes are.
        size: How many they are.
        sha256: Their digest, 64 hex digits.
        filename: What the platform is to call the file.
        identity: Who it is about.
        attempt: 1 for the first try. Above it, an earlier try may have arrived.
        form: What is sent along with the file, where the platform takes such fields.
        order: Where it belongs in its run, for a platform that goes by that.
    """

    chunk_id: str
    path: Path
    size: int
    sha256: str
    filename: str
    identity: Identity
    attempt: int = 1
    form: Mapping[str, Any] = field(default_factory=dict)
    order: str | None = None


@dataclass(frozen=True)
class Receipt:
    """The platform's positive answer.

    Attributes:
        answer: What is worth keeping of it; no secrets.
        ids: What later deliveries of the run need to know, to be added to `Identity.ids`; None when nothing.
        signals: (kind, detail) pairs that the training should be told, e.g. `("cancelled", reason)`.
        is_new: Whether the ids are of a model that the platform has just made, so that they can be nobody else's.
    """

    answer: Mapping[str, Any]
    ids: Mapping[str, Any] | None = None
    signals: tuple[tuple[str, str], ...] = ()
    is_new: bool = False


@runtime_checkable
class Heartbeating(Protocol):
    """A client of a platform that is told, now and then, that a training is alive."""

    heartbeat_seconds: float

    def heartbeat(self, identity: Identity, agent_id: Any) -> Any:
        """Say that a registered run's training is alive; take and return what the platform calls this machine.

        That is any JSON value, None where it has no name yet.

        Raises:
            DeliveryError: Nobody took notice.
        """
        ...


@runtime_checkable
class Comparing(Protocol):
    """A client of a platform that tells what it has of a run."""

    def ahead(self, identity: Identity, known: Known) -> str | None:
        """Return what the platform has of a run that a journal does not, in words; None where that is nothing.

        Raises:
            DeliveryError: The platform could not be read now.
        """
        ...


class Platform(Protocol):
    """A client of one platform's API. Its methods are called from many threads at once.

    Each method but `close` raises a `DeliveryError` when there is no positive answer.
    """

    name: str

    def register(self, message: Message) -> Receipt:
        """Announce a run, or that it goes on; `Receipt.ids` is never None."""
        ...

    def send(self, message: Message) -> Receipt:
        """Deliver one event of a registered run."""
        ...

    def upload(self, upload: Upload, progress: Progress) -> Receipt:
        """Deliver one file of a registered run, from disk; `progress` hears of the bytes."""
        ...

    def close(self) -> None:
        """Give up idle connections."""
        ...
