"""Immutable values of the journal, and the states of a delivery.

A delivery's life:

    pending ──claim──▶ claimed ──────▶ delivered
       ▲                │ │ └────────▶ superseded
       └─retry/release──┘ └──────────▶ dead ──retry───▶ pending, or superseded by what is newer
                                        └─────drop────▶ dropped

A newer delivery that makes it unnecessary supersedes a pending one, too. If a run is sent again, it is planned again,
and all its earlier deliveries are superseded, even those that had arrived.

Dropping a destination drops whatever was not delivered there; restoring it makes that pending. `TRANSITIONS` lists
every step.

When its lease expires, a claimed delivery can be claimed again, under a higher fence; the holder of the old fence can
no longer change it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args

MODEL_ID = "modelId"
"""Among the ids that a platform gives a run, the one by which it knows the run. Every client calls it so; only older
servers of Ultralytics Platform give none."""
MODEL_PAGE = "modelUrl"
"""Among those ids, where the model can be looked at."""
FORMER_PROJECTS = "formerProjects"
"""In the receipt of a registration without an answer yet: the projects that it was sent to, "" for an unknown one."""

CANCELLED = "cancelled"
"""Kind of the signal by which a platform tells a training to stop."""

State = Literal["pending", "claimed", "delivered", "dead", "superseded", "dropped"]
Lane = Literal["message", "upload"]
LANES: tuple[Lane, ...] = get_args(Lane)

OPEN_STATES: tuple[State, ...] = ("pending", "claimed")
SETTLED_STATES: tuple[State, ...] = ("delivered", "dead", "superseded", "dropped")

TRANSITIONS: Mapping[State, frozenset[State]] = {
    "pending": frozenset({"claimed", "superseded", "dropped"}),
    "claimed": frozenset({"pending", "claimed", "delivered", "dead", "superseded", "dropped"}),
    "dead": frozenset({"pending", "superseded", "dropped"}),
    "delivered": frozenset({"superseded"}),
    "superseded": frozenset(),
    "dropped": frozenset({"pending", "superseded"}),
}


class OpenedContent(Protocol):
    """Bytes that are read piece by piece."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, at most `size`; none at the end."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go on elsewhere; return where that is, from the beginning."""

    def close(self) -> None:
        """Read no more."""


class Content(Protocol):
    """Bytes that are kept somewhere: the `Path` of a file is one."""

    def open(self, mode: Literal["rb"], /) -> OpenedContent:
        """Open them for reading; the caller closes them.

        Raises:
            OSError: They cannot be opened, and `FileNotFoundError`, they are not there. Reading may raise it, too.
            BlobsUnavailable: The store that keeps them cannot be used now. Reading may raise it, too.
        """


@dataclass(frozen=True)
class Run:
    """One training as a person understands it; it continues across restarts.

    Attributes:
        id: The uuid, created on this machine when the run began.
        project: Slug of the project, or None if the training named none.
        name: Slug of the run's name.
        save_dir: Folder the trainer writes to, absolute at the time.
        created_at: ISO 8601 time in UTC.
    """

    id: str
    project: str | None
    name: str
    save_dir: str
    created_at: str


@dataclass(frozen=True)
class Event:
    """One immutable thing that happened in a run.

    Attributes:
        id: Position in the journal, in the order of arrival.
        run_id: Uuid of the run.
        session_id: The process lifetime that wrote it.
        kind: `epoch_end`, `console_output`, `checkpoint`, …
        key: The natural key within the kind (epoch, chunk id, role), or "".
        payload: JSON text of an object, exactly as stored.
        created_at: ISO 8601 time in UTC.
        seq: Its number in the session.
        generation: The session's; later sessions of the run have higher ones.
    """

    id: int
    run_id: str
    session_id: int
    kind: str
    key: str
    payload: str
    created_at: str
    seq: int = 0
    generation: int = 0


@dataclass(frozen=True)
class Destination:
    """A platform and its base URL, "" while nobody knows it."""

    id: int
    platform: str
    base_url: str


@dataclass(frozen=True)
class Target:
    """One run at one destination: its ids there, and how far it is planned.

    Attributes:
        run: The run.
        destination: Where it goes.
        state: `new` until the platform has accepted the run, then `registered`; `blocked` when the platform
            refuses the run as a whole.
        reason: Why it is blocked, else None.
        ids: The platform's ids of the run (modelId, runId, …); empty before registration.
        planned_through: Id of the last event that deliveries were planned for.
        stage: The stage of the last planned delivery.
        dropped_at: When a person dropped it, ISO, else None.
    """

    run: Run
    destination: Destination
    state: Literal["new", "registered", "blocked"]
    reason: str | None
    ids: Mapping[str, Any]
    planned_through: int
    stage: int
    dropped_at: str | None


@dataclass(frozen=True)
class PlannedDelivery:
    """A delivery that has no row yet. Its bytes and id do not change from here on.

    Attributes:
        kind: The message's event name, or `checkpoint`.
        lane: `message` for small JSON, `upload` for blobs.
        stage: Deliveries of a lower stage, of the same run and destination, are settled before this one is claimed.
        first_event: Id of the first event that it covers.
        last_event: Id of the last event that it covers.
        body: JSON text that is sent (a message), or that describes the upload.
        sha256: The blob, for the upload lane.
        role: Of an upload, the checkpoint's (`best`, `last`, `final`). Of a message, what it tells anew where others of
            the same role have told it; they go one after the other. None for most.
        state: `superseded` if it is not to be sent, because newer events arrived before it.
    """

    kind: str
    lane: Lane
    stage: int
    first_event: int
    last_event: int
    body: str
    sha256: str | None = None
    role: str | None = None
    state: Literal["pending", "superseded"] = "pending"


@dataclass(frozen=True)
class Known:
    """What a journal holds of a run, for comparison with what a platform holds.

    Attributes:
        sessions: Uuids of its sessions.
        generation: The highest of theirs.
        last_epoch: The last epoch; None if there is none, or events were pruned.
        is_complete: Whether it holds the training's end, or did before it was pruned.
    """

    sessions: frozenset[str]
    generation: int
    last_epoch: int | None
    is_complete: bool


@dataclass(frozen=True)
class Claim:
    """A delivery that this drain may send until the lease runs out.

    Attributes:
        delivery_id: Row id.
        chunk_id: The idempotency key; the same for each attempt.
        run: The run it belongs to.
        destination_id: Where it goes.
        ids: What the platform calls the run (empty before registration).
        kind: See `PlannedDelivery`.
        lane: See `PlannedDelivery`.
        body: The frozen JSON text.
        sha256: The blob, for the upload lane.
        attempt: 1 for the first try.
        fence: Grows with each claim of this delivery.
        first_event: Id of the first event covered.
        last_event: Id of the last event covered.
        role: Checkpoint role, for the upload lane.
        sessions: Uuids of the run's sessions, for a registration.
        known: What the journal holds of the run, if the journal may be an older copy.
        order: The session's generation, and the identities of the first and the last event covered; None where an
            earlier version planned it.
        times: When the first and the last event covered were recorded, as two ISO times; None where that is not when
            they happened.
        former_projects: Where a registration was sent before its run was given another project; "" for the default one.
    """

    delivery_id: int
    chunk_id: str
    run: Run
    destination_id: int
    ids: Mapping[str, Any]
    kind: str
    lane: Lane
    body: str
    sha256: str | None
    attempt: int
    fence: int
    first_event: int
    last_event: int
    role: str | None = None
    sessions: frozenset[str] = frozenset()
    known: Known | None = None
    order: str | None = None
    times: str | None = None
    former_projects: tuple[str, ...] = ()


@dataclass(frozen=True)
class Signal:
    """Something that the platform told the training, e.g. `cancelled`.

    Attributes:
        id: Row id.
        run_id: Uuid of the run.
        session_id: The session whose event the platform answered with it; later sessions ignore it.
        kind: What it told.
        detail: The platform's reason.
        created_at: ISO 8601 time in UTC.
    """

    id: int
    run_id: str
    session_id: int
    kind: str
    detail: str
    created_at: str


@dataclass(frozen=True)
class Outcome:
    """What one attempt came to; `Settlement.record` writes it.

    Attributes:
        claim: The claim that was attempted.
        result: `delivered`, `retry` (again at `next_attempt_at`), `release` (again, not counted as an attempt),
            `dead` (refused for good), or `superseded`.
        receipt: What the platform answered, without secrets.
        ids: The platform's ids for the run, when this attempt registered it.
        error: Why it was not delivered, without secrets.
        next_attempt_at: ISO time before which it is not claimed again.
        held: Whether the platform itself asked for that wait (Retry-After), so that `Claims.take_over` leaves it alone.
        signals: (kind, detail) pairs that the platform sent along.
        foreign: Whether not the platform, but something in between answered.
        block: A reason, when the platform refuses the whole run from here on.
    """

    claim: Claim
    result: Literal["delivered", "retry", "release", "dead", "superseded"]
    receipt: Mapping[str, Any] = field(default_factory=dict)
    ids: Mapping[str, Any] | None = None
    error: str | None = None
    next_attempt_at: str | None = None
    held: bool = False
    foreign: bool = False
    signals: tuple[tuple[str, str], ...] = ()
    block: str | None = None
