"""What a platform client is, and the values that go in and come out.

A client speaks one HTTP API. It turns one message or one upload into requests, and returns a `Receipt` or raises a
`uploader.errors.DeliveryError`. It neither retries nor knows the journal, but for its values.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from journal.records import Content, Known

UploadProgress = Callable[[int], None]
"""Called by the uploading thread, for each block, with the number of bytes sent so far, or confirmed if the server
reports that. It may raise to abort the upload."""

NOT_RESUMED = frozenset({"False", "None", "0", ""})
"""Values of the argument `resume`, as text, of a training that is not resumed."""


DESCRIPTION, LICENSE, TAGS = "description", "license", "tags"
"""The details of a model that a person may want a platform to show."""


def conversion_key(format: str, args: Mapping[str, Any]) -> str:
    """Return what tells a conversion from others of a model, however a platform writes the numbers of its arguments."""
    return " ".join((format, *(f"{name}={_plain(value)}" for name, value in sorted(args.items()))))


def _plain(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_plain, value))}]"
    is_whole = isinstance(value, float) and value.is_integer()
    return json.dumps(int(value) if is_whole else value, default=str)


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
class Located:
    """Where a dataset or a model's weights can be fetched for a while.

    Attributes:
        url: A signed URL, which anybody may fetch.
        size: Bytes, where the platform tells.
        sha256: Of the bytes, where the platform tells.
    """

    url: str = field(repr=False)
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class RunIdentity:
    """The run that a delivery is about.

    Attributes:
        run_uuid: The run's id in the journal.
        project: The project's name.
        name: The run's name.
        ids: The platform's ids of the run; empty before it is registered, or if the platform gives none.
        sessions: Uuids of the run's known sessions; a registration needs them.
        former_projects: Where a registration was sent before and may have been accepted.
        has_gone_on: Whether the run may have later sessions than the known ones.
    """

    run_uuid: str
    project: str
    name: str
    ids: Mapping[str, Any] = field(default_factory=dict)
    sessions: frozenset[str] = frozenset()
    former_projects: tuple[str, ...] = ()
    has_gone_on: bool = False


@dataclass(frozen=True)
class Message:
    """One small JSON message.

    Attributes:
        chunk_id: The idempotency key, the same for every attempt at this delivery.
        event: The event's name.
        data_json: The event's data, as JSON text of an object.
        identity: The run that it is about.
        attempt: 1 for the first; above that, an earlier attempt may have arrived.
        order: Its position in the run, for a platform that orders by it: it begins with the generation of its session.
        times: When what it tells of began and ended, as two ISO times, for a platform that shows that; else None.
    """

    chunk_id: str
    event: str
    data_json: str
    identity: RunIdentity
    attempt: int = 1
    order: str | None = None
    times: str | None = None


@dataclass(frozen=True)
class Upload:
    """One file.

    Attributes:
        chunk_id: The idempotency key, the same for every attempt at this delivery.
        content: The bytes, wherever they are kept.
        size: How many they are.
        sha256: Their digest, 64 hex digits.
        filename: The name of the file on the platform.
        identity: The run that it is about.
        attempt: 1 for the first; above that, an earlier attempt may have arrived.
        form: Fields that accompany the file, on platforms that take them.
        order: Its position in the run, for a platform that orders by it.
        times: When what it tells of began and ended, as two ISO times, for a platform that shows that; else None.
    """

    chunk_id: str
    content: Content
    size: int
    sha256: str
    filename: str
    identity: RunIdentity
    attempt: int = 1
    form: Mapping[str, Any] = field(default_factory=dict)
    order: str | None = None
    times: str | None = None


@dataclass(frozen=True)
class Receipt:
    """The platform's positive answer.

    Attributes:
        answer: What is kept of it; no secrets.
        ids: Ids that later deliveries of the run need, to be added to `RunIdentity.ids`; None for none. The one by
            which the platform knows the run is called `journal.records.MODEL_ID`.
        signals: (kind, detail) pairs for the training, such as `("cancelled", reason)`.
        is_new: Whether the ids are of a model that the platform has just created, so no other run can have them.
    """

    answer: Mapping[str, Any]
    ids: Mapping[str, Any] | None = None
    signals: tuple[tuple[str, str], ...] = ()
    is_new: bool = False


@runtime_checkable
class Heartbeating(Protocol):
    """A client of a platform that takes heartbeats of running trainings."""

    heartbeat_seconds: float

    def heartbeat(self, identity: RunIdentity, agent_id: Any) -> Any:
        """Report that a registered run's training is alive; take and return the platform's name for this machine.

        The name is any JSON value, None before the first heartbeat.

        Raises:
            DeliveryError: The platform did not confirm it.
        """
        ...


@runtime_checkable
class Comparing(Protocol):
    """A client of a platform that can report what it has of a run."""

    def ahead(self, identity: RunIdentity, known: Known) -> str | None:
        """Describe what the platform has of a run that a journal does not; None if there is nothing.

        Raises:
            DeliveryError: The platform could not be read now.
        """
        ...


@dataclass(frozen=True)
class GrownHead:
    """The signed head of a session, for a platform to keep and countersign.

    Attributes:
        origin: The name of the session's tree.
        checkpoint: The signed note.
        size: How many events it has.
        growth: Returns the hashes which show that the tree has grown from a smaller size.
    """

    origin: str
    checkpoint: str
    size: int
    growth: Callable[[int], Sequence[bytes]]


@dataclass(frozen=True)
class KeptHeads:
    """What became of a run's heads on a platform.

    Attributes:
        witness: The verifier key of who countersigns there; None if nobody does.
        countersigned: The countersigned checkpoints of the run.
        refused: In words, why the platform does not keep the run's head; None if it does, or has no place for it.
        contradicted: In words, why it does not countersign a session's head, though it does so for others.
        is_kept: Whether the platform has the run's head now.
    """

    witness: str | None = None
    countersigned: tuple[str, ...] = ()
    refused: str | None = None
    contradicted: tuple[str, ...] = ()
    is_kept: bool = False


@runtime_checkable
class KeepingHeads(Protocol):
    """A client of a platform that keeps the heads of runs, and may countersign them."""

    def keep_heads(self, identity: RunIdentity, head: str, sessions: Sequence[GrownHead]) -> KeptHeads:
        """Have the platform keep a run's head, and countersign those of its sessions.

        Args:
            identity: The run, which is registered.
            head: The signed head of the run.
            sessions: Those of its sessions.

        Raises:
            DeliveryError: The platform could not be asked now.
        """
        ...


@runtime_checkable
class CarryingOut(Protocol):
    """A client of a platform that does what a person wants of it, beside taking what trainings tell."""

    def carry_out(self, intent: Message, progress: UploadProgress) -> Receipt:
        """Do what is wanted of a registered run, once however often it is asked for.

        Args:
            intent: What is wanted.
            progress: Told the number of bytes that were sent of a file, if it takes one.

        Raises:
            Refused: The platform does not do such a thing.
            DeliveryError: It did not do it.
        """
        ...


class Platform(Protocol):
    """A client of one platform's API. Its methods are called from many threads at once.

    Each method except `close` raises a `DeliveryError` unless there is a positive answer.
    """

    name: str

    def register(self, message: Message) -> Receipt:
        """Announce a run, or a further session of it; `Receipt.ids` is never None."""
        ...

    def send(self, message: Message) -> Receipt:
        """Deliver one event of a registered run."""
        ...

    def upload(self, upload: Upload, progress: UploadProgress) -> Receipt:
        """Deliver one file of a registered run, from disk, and report the bytes to `progress`."""
        ...

    def close(self) -> None:
        """Close idle connections."""
        ...
