"""The results of a run: what platforms have taken of it and answered, as it travels with the run's events.

A pack and a mirror hold them beside the events, a file of receipts holds those of the deliveries that arrived. Nothing
in them is a local id: deliveries are named by their chunk ids, and the events that they stand for by their identities.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, select

from journal import ids
from journal.clock import from_text
from journal.encoding import encode
from journal.errors import DamagedResults
from journal.outbox import coverage, targets
from journal.records import LANES, OPEN_STATES, SETTLED_STATES, Run
from journal.schema import tables

FORMAT = 1
_D = tables.deliveries
_G = tables.signals
_S = tables.sessions
_PARSE_ERRORS = (KeyError, TypeError, ValueError, AttributeError, RecursionError)


@dataclass(frozen=True)
class SentDelivery:
    """A delivery, without local ids.

    Attributes:
        chunk_id: Its id.
        kind: What it is of.
        lane: How it goes.
        stage: Its place among the others of its run and destination.
        span: The events that it stands for (`journal.ids.span`); None for one whose events are sent again.
        events: How many of these there were where it was read.
        digest: Of what these say (`coverage.digests`).
        body: What is sent.
        sha256: The blob, for an upload.
        role: The checkpoint's role, for an upload.
        state: See `journal.records`; one that was claimed is pending.
        attempts: How often it was sent.
        last_error: Why it did not arrive the last time.
        receipt: What the platform answered.
        created_at: When it was planned, ISO.
        settled_at: When it was settled, ISO.
    """

    chunk_id: str
    kind: str
    lane: str
    stage: int
    span: str | None
    events: int
    digest: str
    body: str
    sha256: str | None
    role: str | None
    state: str
    attempts: int
    last_error: str | None
    receipt: str | None
    created_at: str
    settled_at: str | None


@dataclass(frozen=True)
class TargetSignal:
    """What a platform told a session."""

    session: str
    kind: str
    detail: str
    created_at: str


@dataclass(frozen=True)
class TargetResults:
    """What became of a run at one destination.

    Attributes:
        platform: Name of its API.
        base_url: Its address.
        state: See `journal.records.Target`.
        reason: Why it is blocked.
        ids: What the platform calls the run.
        stage: Of the last planned delivery.
        last_upload_at: When the last upload began, ISO.
        dropped_at: When a person dropped it, ISO.
        deliveries: In the order in which they were planned.
        signals: What the platform told the run's sessions.
        planned: The numbers of each session's events, in ranges, that were looked at and become one of the deliveries,
            or nothing.
    """

    platform: str
    base_url: str
    state: str
    reason: str | None
    ids: Mapping[str, Any]
    stage: int
    last_upload_at: str
    dropped_at: str | None
    deliveries: Sequence[SentDelivery]
    signals: Sequence[TargetSignal]
    planned: Mapping[str, Sequence[Sequence[int]]]

    def only(self, *states: str) -> TargetResults:
        """Return the same without deliveries in other states, and without their events."""
        kept = tuple(one for one in self.deliveries if one.state in states and one.span)
        return replace(self, deliveries=kept, planned={} if len(kept) < len(self.deliveries) else self.planned)

    def arrived(self) -> TargetResults:
        """Return only what has arrived, and what the platform calls the run."""
        state = "registered" if self.ids else "new"
        return replace(self.only("delivered", "superseded"), dropped_at=None, state=state)


@dataclass(frozen=True)
class SessionEnd:
    """How far a session was: what of it changes after it began."""

    uuid: str
    heartbeat_at: str
    ended_at: str | None
    outcome: str | None


@dataclass(frozen=True)
class Results:
    """What became of a run everywhere.

    Attributes:
        run: The run.
        sessions: Its sessions.
        targets: Its destinations.
    """

    run: Run
    sessions: Sequence[SessionEnd]
    targets: Sequence[TargetResults]

    def to_json(self) -> dict[str, Any]:
        """Return them as JSON values."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, values: Any) -> Results:
        """Return what `to_json` returned.

        Raises:
            DamagedResults: It is something else, or was altered.
        """
        try:
            if values["format"] != FORMAT:
                raise DamagedResults(f"results have the format {values['format']!r}, which this version does not know")
            sessions = tuple(_made(SessionEnd, one) for one in values["sessions"])
            found = cls(Run(**values["run"]), sessions, tuple(_target(one) for one in values["targets"]))
            _check(found)
        except _PARSE_ERRORS as error:
            raise DamagedResults(f"results cannot be read ({type(error).__name__}: {error})") from error
        return found


def to_bytes(results: Results) -> bytes:
    """Return results as JSON text."""
    return encode(results.to_json()).encode()


def from_bytes(content: bytes) -> Results:
    """Return results from what `to_bytes` returned.

    Raises:
        DamagedResults: It is something else, or was altered.
    """
    try:
        values = json.loads(content)
    except (ValueError, RecursionError):
        values = None
    return Results.from_json(values)


def read(connection: Connection, run_id: str) -> Results:
    """Return the results of a run of this journal."""
    row = connection.execute(select(tables.runs).where(tables.runs.c.id == run_id)).one()
    columns = [_S.c[field.name] for field in fields(SessionEnd)]
    sessions = connection.execute(select(*columns).where(_S.c.run_id == run_id).order_by(_S.c.id)).all()
    places = targets.targets(connection, [run_id], dropped=True)
    found = tuple(_read_target(connection, run_id, one.destination.id) for one in places)
    return Results(Run(**row._asdict()), tuple(SessionEnd(**one._asdict()) for one in sessions), found)


def _read_target(connection: Connection, run_id: str, destination_id: int) -> TargetResults:
    query = targets.TARGETS.where(tables.targets.c.run_id == run_id, tables.targets.c.destination_id == destination_id)
    row = connection.execute(query).one()
    deliveries, is_whole = _read_deliveries(connection, run_id, destination_id)
    return TargetResults(
        platform=row.platform,
        base_url=row.base_url,
        state=row.state,
        reason=row.reason,
        ids=json.loads(row.ids),
        stage=row.stage,
        last_upload_at=row.last_upload_at,
        dropped_at=row.dropped_at,
        deliveries=deliveries,
        signals=tuple(_read_signals(connection, run_id, destination_id)),
        planned=_read_planned(connection, run_id, row.planned_through) if is_whole else {},
    )


def _read_deliveries(connection: Connection, run_id: str, destination_id: int) -> tuple[tuple[SentDelivery, ...], bool]:
    """Return a target's deliveries, and whether these are all: those of an earlier version stay behind."""
    digests = coverage.digests(connection, run_id, destination_id)
    names = [field.name for field in fields(SentDelivery) if field.name not in {"events", "digest"}]
    here = (_D.c.run_id == run_id, _D.c.destination_id == destination_id)
    rows = connection.execute(select(_D.c.id, *(_D.c[name] for name in names)).where(*here).order_by(_D.c.id)).all()
    kept = [row for row in rows if row.span is not None or row.state == "superseded"]
    found = []
    for row in kept:
        events, digest = digests.get(row.id, (0, ""))
        columns = {name: getattr(row, name) for name in names}
        columns["state"] = "pending" if row.state == "claimed" else row.state
        found.append(SentDelivery(**columns, events=events, digest=digest))
    return tuple(found), len(kept) == len(rows)


def _read_planned(connection: Connection, run_id: str, through: int) -> dict[str, list[list[int]]]:
    table = tables.events
    query = select(_S.c.uuid, table.c.seq).join(_S, _S.c.id == table.c.session_id)
    rows = connection.execute(
        query.where(table.c.run_id == run_id, table.c.id <= through).order_by(_S.c.uuid, table.c.seq)
    )
    return {uuid: _ranges([seq for _, seq in own]) for uuid, own in groupby(rows, key=lambda row: row.uuid)}


def _ranges(numbers: Sequence[int]) -> list[list[int]]:
    """Return ascending numbers as ranges, each with its first and last one."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found


def _read_signals(connection: Connection, run_id: str, destination_id: int) -> Iterator[TargetSignal]:
    query = select(_S.c.uuid, _G.c.kind, _G.c.detail, _G.c.created_at).join(_S, _S.c.id == _G.c.session_id)
    here = (_G.c.run_id == run_id, _G.c.destination_id == destination_id)
    for row in connection.execute(query.where(*here).order_by(_G.c.id)):
        yield TargetSignal(*row)


def _target(values: Mapping[str, Any]) -> TargetResults:
    deliveries = tuple(_made(SentDelivery, one) for one in values["deliveries"])
    signals = tuple(_made(TargetSignal, one) for one in values["signals"])
    made: TargetResults = _made(TargetResults, {**values, "deliveries": deliveries, "signals": signals})
    return made


def _made(kind: Any, values: Mapping[str, Any]) -> Any:
    """Return an object of a class of this module from its values; others, of a later version, are left out."""
    return kind(**{field.name: values[field.name] for field in fields(kind)})


def _check(results: Results) -> None:
    """Check that the values can be stored, and that each delivery is what its id says.

    Raises:
        ValueError: Something was altered.
    """
    from_text(results.run.created_at)
    for target in results.targets:
        from_text(target.last_upload_at)
        if target.state not in {"new", "registered", "blocked"} or not isinstance(target.ids, dict):
            raise ValueError(f"a run cannot be {target.state!r}")
        for first, last in (each for ranges in target.planned.values() for each in ranges):
            if not 0 < first <= last:
                raise ValueError(f"no events have the numbers {first} to {last}")
        for one in target.deliveries:
            if one.lane not in LANES or one.state not in (*OPEN_STATES, *SETTLED_STATES):
                raise ValueError(f"a delivery cannot be {one.lane!r} and {one.state!r}")
            if one.span is not None and one.chunk_id.partition(".")[0] != _chunk_id(results.run.id, target, one):
                raise ValueError(f"the delivery {one.chunk_id[:12]}… is not what its id says")


def _chunk_id(run_id: str, target: TargetResults, one: SentDelivery) -> str:
    return ids.chunk_id(
        run_id=run_id,
        platform=target.platform,
        base_url=target.base_url,
        kind=one.kind,
        first_event=0,
        last_event=0,
        body_digest=ids.digest(one.body),
        span=one.span,
    )
