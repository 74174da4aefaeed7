"""Takes the results of a run in: what was delivered elsewhere counts as delivered here, and is not sent again.

It is the one way in which a pack, a mirror, another journal and a file of receipts say what platforms have taken. It is
idempotent, and of results that came from one journal at different times the order does not matter: a delivery that is
further stays so. Before the run's events come in, only what is settled is taken in, so that no drain plans these events
meanwhile; after them all the rest.

Nothing counts as delivered by its number alone. A delivery is known by its chunk id, which depends on the run, the
address, the events' identities and the body; and the events that it stands for must say here what they said there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, select, update

from journal.clock import now_text
from journal.encoding import encode
from journal.outbox import coverage, overlaps, targets
from journal.outbox.run_results import Results, SentDelivery, SessionEnd, TargetResults
from journal.records import MODEL_ID
from journal.schema import tables
from journal.schema.neutral import larger, upsert

_D = tables.deliveries
_E = tables.events
_S = tables.sessions
_T = tables.targets
_FURTHER = ("pending", "claimed", "dead", "dropped", "superseded", "delivered")
"""The states of a delivery; of two that two journals say of one, the later in this list holds."""


@dataclass
class ResultsTaken:
    """What taking results in came to.

    Attributes:
        delivered: How many deliveries are known to have arrived that were not before.
        refused: In words, what was not taken in, and why.
        other_models: Of these, the runs that are another model there than here.
    """

    delivered: int = 0
    refused: list[str] = field(default_factory=list)
    other_models: list[str] = field(default_factory=list)


def take_in(
    connection: Connection, results: Results, *, has_events: bool = True, only_of_events: bool = False
) -> ResultsTaken:
    """Take the results of a run in.

    Args:
        connection: In a write transaction.
        results: Read from another journal.
        has_events: Whether the run's events are in, as far as they come; else they come afterwards.
        only_of_events: Refuse what stands for events that are not here.
    """
    taken = ResultsTaken()
    connection.execute(upsert(tables.runs).values(vars(results.run)).on_conflict_do_nothing())
    for theirs in results.targets:
        _take_target(connection, results.run.id, theirs, taken, has_events=has_events, only_of_events=only_of_events)
    if has_events:  # of a session that is over, nobody waits for more
        take_ends(connection, results.sessions)
    coverage.count_taken_in(connection)
    return taken


def learn(connection: Connection, results: Results) -> list[str]:
    """Learn what has arrived from elsewhere of a run of this journal, at the addresses that it goes to here.

    Args:
        connection: In a write transaction.
        results: Of the run, read from another journal.

    Returns:
        In words, where it is another model there than here.
    """
    here = {
        (one.destination.platform, one.destination.base_url)
        for one in targets.targets(connection, [results.run.id], dropped=True)
    }
    fitting = tuple(one.arrived() for one in results.targets if (one.platform, one.base_url) in here)
    return take_in(connection, replace(results, targets=fitting, sessions=()), only_of_events=True).other_models


def _take_target(
    connection: Connection,
    run_id: str,
    theirs: TargetResults,
    taken: ResultsTaken,
    *,
    has_events: bool,
    only_of_events: bool,
) -> None:
    place = targets.route(connection, run_id, theirs.platform, theirs.base_url)
    here = (_T.c.run_id == run_id, _T.c.destination_id == place.id)
    own = connection.execute(select(_T).where(*here)).first()
    if own is None:  # a platform chosen by its name, of a run that has an address of it
        return
    joined = _joined(targets.ids_of(own), theirs.ids)
    if joined is None:
        why = _other_model(run_id, theirs, targets.ids_of(own)[MODEL_ID])
        taken.refused.append(why)
        taken.other_models.append(why)
        return
    is_new = own.planned_through == 0 and not _has_deliveries(connection, run_id, place.id)
    values = _target_values(own, theirs, joined, is_new=is_new)
    if not has_events:  # a stage without the first deliveries is the mark of a run that was pruned
        values["stage"] = own.stage
    connection.execute(update(_T).where(*here).values(values))
    incoming = _Incoming(run_id, place.id, theirs, values["dropped_at"], has_events=has_events)
    taken.delivered += incoming.take(connection)
    _take_signals(connection, run_id, place.id, theirs)
    if has_events:
        refused, doubted = incoming.take_back(connection, only_of_events=only_of_events)
        taken.refused += refused
        left = overlaps.settle(connection, run_id, place.id)
        if not incoming.is_older:
            _advance(connection, run_id, place.id, theirs, doubted | left)


def _joined(own: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the ids that two journals know of a run at one address; None where these are of two models."""
    models = {ids[MODEL_ID] for ids in (own, theirs) if ids.get(MODEL_ID)}
    return None if len(models) > 1 else {**theirs, **own}


def _other_model(run_id: str, theirs: TargetResults, own: object) -> str:
    return (
        f"run {run_id} is the model {own} at {theirs.base_url} here and {theirs.ids[MODEL_ID]} there: what was "
        "delivered there does not count here"
    )


def _target_values(own: Row[Any], theirs: TargetResults, ids: Mapping[str, Any], *, is_new: bool) -> dict[str, Any]:
    """Return a target's columns. The further state holds; what a person has dropped here stays so."""
    is_further = theirs.state == "registered" or (theirs.state == "blocked" and own.state == "new")
    state = (theirs.state, theirs.reason) if is_further else (own.state, own.reason)
    return {
        "state": state[0],
        "reason": state[1],
        "ids": encode(ids),
        "stage": max(own.stage, theirs.stage),
        "last_upload_at": max(own.last_upload_at, theirs.last_upload_at),
        "dropped_at": theirs.dropped_at if is_new else own.dropped_at,
    }


def _has_deliveries(connection: Connection, run_id: str, destination_id: int) -> bool:
    query = select(_D.c.id).where(_D.c.run_id == run_id, _D.c.destination_id == destination_id)
    return connection.execute(query.limit(1)).first() is not None


class _Incoming:
    """The deliveries of one target, on their way in."""

    def __init__(
        self, run_id: str, destination_id: int, theirs: TargetResults, dropped_at: str | None, *, has_events: bool
    ) -> None:
        self._run_id = run_id
        self._destination_id = destination_id
        self._here = (_D.c.run_id == run_id, _D.c.destination_id == destination_id)
        self._theirs = theirs
        self._dropped_at = dropped_at
        self._chosen = [one for one in theirs.deliveries if has_events or one.state not in {"pending", "dead"}]
        self._new: dict[str, SentDelivery] = {}
        self.is_older = False  # than a person's word here that all is to be sent again

    def take(self, connection: Connection) -> int:
        """Insert what is not here, and move on what is; return how many arrived that were not known to have."""
        before = self._delivered(connection)
        columns = (_D.c.chunk_id, _D.c.state, _D.c.span, _D.c.attempts)
        known = {row.chunk_id: row for row in connection.execute(select(*columns).where(*self._here))}
        self.is_older = any(
            one.span is not None and one.chunk_id in known and known[one.chunk_id].span is None for one in self._chosen
        )
        self._new = {one.chunk_id: one for one in self._chosen if one.chunk_id not in known}
        if rows := [self._row(one) for one in self._new.values()]:
            connection.execute(upsert(_D).on_conflict_do_nothing(), rows)
        further = [one for one in self._chosen if one.chunk_id in known and is_further(one, known[one.chunk_id])]
        for one in further:
            connection.execute(update(_D).where(*self._here, _D.c.chunk_id == one.chunk_id).values(_settled(one)))
        if tried := [one for one in self._chosen if one.chunk_id in known and one.attempts and one.span]:
            counts = [{"chunk": one.chunk_id, "tried": one.attempts, "note": one.receipt} for one in tried]
            connection.execute(_COUNT_ATTEMPTS.where(*self._here), counts)  # it may have arrived from there
        if any(one.span is None for one in further):
            overlaps.plan_again(connection, self._run_id, self._destination_id, 0)
        coverage.place(connection, self._run_id, self._destination_id)
        return self._delivered(connection) - before

    def take_back(self, connection: Connection, *, only_of_events: bool) -> tuple[list[str], frozenset[int]]:
        """Delete deliveries that came in and whose events say something else here; name them, and their events."""
        digests = coverage.digests(connection, self._run_id, self._destination_id)
        rows = connection.execute(select(_D.c.id, _D.c.chunk_id, _D.c.span, _D.c.kind).where(*self._here)).all()
        refused = {}
        for row in (row for row in rows if row.chunk_id in self._new and row.span is not None):
            here, one = digests.get(row.id, (0, "")), self._new[row.chunk_id]
            if why := _why_not(here, one, only_of_events=only_of_events):
                refused[row.id] = f"{row.kind} ({row.span}): {why}"
        if not refused:
            return [], frozenset()
        events = coverage.events_of(connection, self._run_id, self._destination_id)
        connection.execute(delete(_D).where(_D.c.id.in_(refused)))
        return list(refused.values()), frozenset(event for id_ in refused for event in events.get(id_, ()))

    def _row(self, one: SentDelivery) -> dict[str, Any]:
        """Return the row of a delivery that is not here; its events are found when they are in."""
        columns = {name: value for name, value in vars(one).items() if name not in {"events", "digest"}}
        if one.state == "dropped" and one.settled_at == self._theirs.dropped_at and self._dropped_at is None:
            columns |= {"state": "pending", "settled_at": None}
        if columns["state"] == "pending" and self._dropped_at is not None:
            columns |= {"state": "dropped", "settled_at": self._dropped_at}
        unplaced = {"first_event": 0, "last_event": 0, "next_attempt_at": now_text(), "held": 0, "fence": one.attempts}
        place = {"run_id": self._run_id, "destination_id": self._destination_id}
        return {**columns, **place, **unplaced}

    def _delivered(self, connection: Connection) -> int:
        query = select(func.count()).select_from(_D).where(*self._here, _D.c.state == "delivered")
        return int(connection.execute(query).scalar_one())


def _why_not(here: tuple[int, str], one: SentDelivery, *, only_of_events: bool) -> str | None:
    """Return why a delivery cannot be taken in; None if it can."""
    if here[0] < one.events:
        return "it is of events that are not here" if only_of_events else None
    return None if here == (one.events, one.digest) else "its events say something else here than what was sent there"


def is_further(one: SentDelivery, own: Any) -> bool:
    """Return whether another journal knows more of a delivery than this one.

    One that stands for nothing any more was either to be sent again, as a person said, or was never sent and then
    divided otherwise (`overlaps.py`). The first holds, and the second only against what was never sent either.
    """
    if own.state == "superseded" and own.span is None:
        return own.attempts == 0 and one.state == "delivered"
    if one.state == "superseded" and one.span is None:
        return one.attempts > 0 or (own.attempts == 0 and own.state != "delivered")
    return _FURTHER.index(one.state) > _FURTHER.index(own.state)


_COUNT_ATTEMPTS = (
    update(_D)
    .where(_D.c.chunk_id == bindparam("chunk"), _D.c.span.is_not(None), _D.c.attempts < bindparam("tried"))
    .values(attempts=bindparam("tried"), receipt=func.coalesce(_D.c.receipt, bindparam("note")))
)


def _settled(one: SentDelivery) -> dict[str, Any]:
    state = {"state": one.state, "settled_at": one.settled_at, "span": one.span, "owner": None, "lease_until": None}
    return {**state, "last_error": one.last_error, "receipt": func.coalesce(one.receipt, _D.c.receipt)}


def _advance(
    connection: Connection, run_id: str, destination_id: int, theirs: TargetResults, doubted: frozenset[int]
) -> None:
    """Note that a target is planned up to the first event that was planned neither here nor there."""
    here = (_T.c.run_id == run_id, _T.c.destination_id == destination_id)
    through: int = connection.execute(select(_T.c.planned_through).where(*here)).scalar_one()
    known = coverage.planned_events(connection, run_id, destination_id, through)
    query = select(_E.c.id, _S.c.uuid, _E.c.seq).join(_S, _S.c.id == _E.c.session_id)
    for row in connection.execute(query.where(_E.c.run_id == run_id, _E.c.id > through).order_by(_E.c.id)):
        looked_at = any(first <= row.seq <= last for first, last in theirs.planned.get(row.uuid, ()))
        if row.id not in known and (not looked_at or row.id in doubted):
            break
        through = row.id
    connection.execute(update(_T).where(*here).values(planned_through=through))


def _take_signals(connection: Connection, run_id: str, destination_id: int, theirs: TargetResults) -> None:
    for signal in theirs.signals:
        session_id = connection.execute(select(_S.c.id).where(_S.c.uuid == signal.session)).scalar()
        if session_id is None:
            continue
        content = {"kind": signal.kind, "detail": signal.detail, "created_at": signal.created_at}
        place = {"run_id": run_id, "destination_id": destination_id, "session_id": session_id}
        connection.execute(upsert(tables.signals).values({**content, **place}).on_conflict_do_nothing())


def take_ends(connection: Connection, ends: Iterable[SessionEnd]) -> None:
    """Note how far sessions were, where that is more than is known here."""
    for end in ends:
        here = _S.c.uuid == end.uuid
        later = {"heartbeat_at": larger(_S.c.heartbeat_at, end.heartbeat_at)}
        connection.execute(update(_S).where(here).values(later))
        if end.ended_at is not None:
            ended = {"ended_at": end.ended_at, "outcome": end.outcome}
            connection.execute(update(_S).where(here, func.coalesce(_S.c.ended_at, "") < end.ended_at).values(ended))
