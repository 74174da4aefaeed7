"""Making deliveries: rows whose bytes and chunk ids never change from here on."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, exists, func, insert, select, update

from journal.clock import now_text, to_text
from journal.errors import StaleClaim
from journal.ids import chunk_id, digest, span
from journal.kinds import FINAL, INTENTS
from journal.outbox import coverage, overlaps
from journal.outbox.resending import next_chunk_id
from journal.outbox.targets import unblock
from journal.records import OPEN_STATES, PlannedDelivery, Target
from journal.schema import tables
from journal.schema.neutral import is_named
from journal.storage.backend import Begin

_D = tables.deliveries
_E = tables.events
_S = tables.sessions
_T = tables.targets


class Plans:
    """The planned deliveries of a journal."""

    def __init__(self, begin: Begin) -> None:
        """Use the connection on which `begin` begins a transaction."""
        self._begin = begin

    def write(
        self,
        target: Target,
        planned: Sequence[PlannedDelivery],
        *,
        through: int,
        stage: int,
        now: datetime | None = None,
    ) -> int:
        """Fix deliveries for the target's events up to `through`, in one transaction; return how many they are.

        A pending upload that is not final is superseded by a later one, because a platform shows one model per run;
        and what a person wants, by what they want instead since.

        Args:
            target: The run and the destination.
            planned: The deliveries.
            through: The id of the last event that they are of.
            stage: Of the last of them.
            now: The current time, by the clock that others compare it with; None for this machine's.

        Raises:
            StaleClaim: Another drain planned for this target meanwhile, or a person dropped it; nothing was written.
        """
        run, destination = target.run.id, target.destination.id
        with self._begin(concurrent=True) as connection:
            _advance(connection, target, through, stage)  # whoever else plans for it waits, and finds it moved
            if planned:
                spans = _identities(connection, {id_ for one in planned for id_ in (one.first_event, one.last_event)})
                moment = to_text(now) if now else now_text()
                rows = [_row(target, delivery, spans, moment) for delivery in planned]
                connection.execute(insert(_D), _sent_before(connection, rows))
            if any(delivery.kind in INTENTS for delivery in planned):
                connection.execute(
                    _SUPERSEDE_OLDER_INTENTS, {"run": run, "destination": destination, "now": now_text()}
                )
            if any(delivery.lane == "upload" for delivery in planned):
                _supersede_older_uploads(connection, run, destination)
                if coverage.times_taken_in(connection):  # an older one may be planned after a newer one
                    overlaps.supersede_old_uploads(connection, run, destination)
        return len(planned)


def send_again(connection: Connection, target: Target, planned: Sequence[PlannedDelivery], stage: int) -> int:
    """Send parts of a run again: new rows in the place of what had arrived, or was refused, of the same events.

    What waits to be sent is left as it is. A run that the platform refused as a whole goes on.

    Args:
        connection: In a write transaction.
        target: The run and the destination.
        planned: What is sent.
        stage: Of the last of these.

    Returns:
        How many are new.

    Raises:
        StaleClaim: A drain planned for this target meanwhile, or a person dropped it; nothing was written.
    """
    _advance(connection, target, target.planned_through, stage)
    unblock(connection, target.run.id, target.destination.id)
    spans = _identities(connection, {id_ for one in planned for id_ in (one.first_event, one.last_event)})
    rows = [_row(target, one, spans, now_text()) for one in planned]
    new = [row for row in rows if _replaces(connection, row["chunk_id"])]
    if new:
        connection.execute(insert(_D), _sent_before(connection, new))
    return len(new)


def _replaces(connection: Connection, chunk_id: str) -> bool:
    """Supersede what was sent of the same under a chunk id, or one made from it; False where that still waits."""
    same = (_D.c.chunk_id >= chunk_id, _D.c.chunk_id < f"{chunk_id}/")
    if connection.execute(select(_D.c.id).where(*same, _D.c.state.in_(OPEN_STATES))).first():
        return False
    gone = {"state": "superseded", "settled_at": now_text(), "span": None}
    connection.execute(update(_D).where(*same, _D.c.state.in_(("delivered", "dead"))).values(gone))
    return True


def _advance(connection: Connection, target: Target, through: int, stage: int) -> None:
    """Note how far the target is planned.

    Raises:
        StaleClaim: It is no longer as far as it was, or was dropped.
    """
    moved = connection.execute(
        update(_T)
        .where(_T.c.run_id == target.run.id, _T.c.destination_id == target.destination.id)
        .where(_T.c.planned_through == target.planned_through, _T.c.dropped_at.is_(None))
        .values(planned_through=through, stage=stage)
    )
    if moved.rowcount != 1:
        raise StaleClaim(f"run {target.run.id} was planned by another drain, or dropped, meanwhile")


def _identities(connection: Connection, events: Collection[int]) -> Mapping[int, tuple[str, int]]:
    """Return the identity of each event, by its id: the session's uuid and its number there."""
    found = connection.execute(_IDENTITIES, {"ids": json.dumps(list(events))})
    return {row.id: (row.uuid, row.seq) for row in found}


_IDENTITIES = select(_E.c.id, _S.c.uuid, _E.c.seq).join(_S, _S.c.id == _E.c.session_id).where(is_named(_E.c.id, "ids"))


def _sent_before(connection: Connection, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give deliveries that are sent again (`resending.py`) new chunk ids, and the attempts of their predecessors."""
    found = connection.execute(_ATTEMPTS, {"ids": json.dumps([row["chunk_id"] for row in rows])})
    known = {row.chunk_id: max(1, row.attempts) for row in found}
    for row in (row for row in rows if row["chunk_id"] in known):
        row["attempts"] = known[row["chunk_id"]]
        row["chunk_id"] = next_chunk_id(connection, row["chunk_id"])
    return rows


_ATTEMPTS = select(_D.c.chunk_id, _D.c.attempts).where(is_named(_D.c.chunk_id, "ids"))


def _row(
    target: Target, delivery: PlannedDelivery, identities: Mapping[int, tuple[str, int]], now: str
) -> dict[str, Any]:
    """Return the row of a planned delivery: this is where its bytes and its chunk id are fixed."""
    first, last = (identities.get(event, ("", event)) for event in (delivery.first_event, delivery.last_event))
    covered = span(first, last)
    return {
        **vars(delivery),
        "span": covered,
        "run_id": target.run.id,
        "destination_id": target.destination.id,
        "chunk_id": chunk_id(
            run_id=target.run.id,
            platform=target.destination.platform,
            base_url=target.destination.base_url,
            kind=delivery.kind,
            first_event=delivery.first_event,
            last_event=delivery.last_event,
            body_digest=digest(delivery.body),
            span=covered,
        ),
        "attempts": 0,
        "next_attempt_at": now,
        "held": 0,
        "fence": 0,
        "created_at": now,
        "settled_at": None if delivery.state == "pending" else now,
    }


_NEWER = _D.alias()
_SUPERSEDE_OLDER_INTENTS = (
    update(_D)
    .where(_D.c.run_id == bindparam("run"), _D.c.destination_id == bindparam("destination"))
    .where(_D.c.state == "pending", _D.c.kind.in_(INTENTS))
    .where(
        exists().where(
            *(_NEWER.c[name] == _D.c[name] for name in ("run_id", "destination_id", "kind", "role")),
            tables.is_open(_NEWER),
            _NEWER.c.first_event > _D.c.first_event,
        )
    )
    .values(state="superseded", settled_at=bindparam("now"))
)


def _supersede_older_uploads(connection: Connection, run_id: str, destination_id: int) -> None:
    here = (
        tables.is_open(_D),
        _D.c.run_id == run_id,
        _D.c.destination_id == destination_id,
        _D.c.lane == "upload",
    )
    newest = select(func.max(_D.c.first_event)).where(*here).scalar_subquery()
    connection.execute(
        update(_D)
        .where(*here, _D.c.state == "pending", _D.c.role != FINAL, _D.c.first_event < newest)
        .values(state="superseded", settled_at=now_text())
    )
