"""Which dead letters later deliveries have replaced, so that sending them would put old over new.

A platform keeps one of each: a run's weights, its state, which the milestones tell, and an epoch's metrics. What waits
still arrives after the dead letter; a final checkpoint and a milestone are replaced only by what may have arrived. Of
metrics of many epochs, as HUB takes them, some epochs may be replaced: what is left of them is another delivery.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, text, update

from journal.clock import now_text
from journal.encoding import encode
from journal.ids import chunk_id, digest
from journal.kinds import BY_KEY, EPOCH, EPOCHS_TOGETHER, FINAL, MILESTONES, listed
from journal.schema import tables

_D = tables.deliveries
_FRESH = ("id", "attempts", "held", "owner", "lease_until", "fence", "last_error", "receipt", "settled_at")
"""Columns that another delivery does not take over."""

_REPLACED = text(
    f"""
    WITH kept AS (
      SELECT d.id, d.run_id, d.destination_id, d.first_event, d.state,
             CASE WHEN d.lane = 'upload' THEN 'weights'
                  WHEN d.kind IN ({listed(MILESTONES)}) THEN 'state'
                  WHEN d.kind IN ({listed(BY_KEY)}) THEN d.kind || ' ' || nullif(e.key, '') END AS what,
             d.lane = 'message' AND d.kind NOT IN ({listed(BY_KEY)}) OR coalesce(d.role, '') = '{FINAL}' AS is_last_word
      FROM deliveries d LEFT JOIN events e ON e.id = d.first_event
      WHERE d.run_id IN (SELECT run_id FROM deliveries WHERE state = 'dead')
      UNION ALL
      SELECT d.id, d.run_id, d.destination_id, d.first_event, d.state, '{EPOCH} ' || epoch.key, 1 = 0
      FROM deliveries d, json_each(CASE WHEN json_valid(d.body) THEN d.body ELSE '{{}}' END, '$.metrics') epoch
      WHERE d.kind = '{EPOCHS_TOGETHER}' AND d.run_id IN (SELECT run_id FROM deliveries WHERE state = 'dead')
    ), newest AS (
      SELECT run_id, destination_id, what,
             max(CASE WHEN state IN ('claimed', 'delivered') THEN first_event END) AS sent,
             max(CASE WHEN state IN ('pending', 'claimed', 'delivered') THEN first_event END) AS planned
      FROM kept WHERE what IS NOT NULL GROUP BY run_id, destination_id, what
    )
    SELECT k.id, substr(k.what, {len(EPOCH) + 2}) AS epoch,
           coalesce(k.first_event < CASE WHEN k.is_last_word THEN n.sent ELSE n.planned END, 1 = 0) AS is_replaced
    FROM kept k JOIN newest n USING (run_id, destination_id, what)
    WHERE k.state = 'dead'
    """  # noqa: S608 - names of this package
)


@dataclass(frozen=True)
class Replaced:
    """Dead letters, of all runs, that later deliveries have replaced.

    Attributes:
        whole: Their ids.
        parts: Of those that are replaced in part, by their ids: the epochs that are.
    """

    whole: Collection[int]
    parts: Mapping[int, Collection[str]]


def replaced(connection: Connection) -> Replaced:
    """Return what later deliveries have replaced."""
    left: set[int] = set()
    parts: dict[int, list[str]] = {}
    for row in connection.execute(_REPLACED):
        if row.is_replaced:
            parts.setdefault(row.id, []).append(row.epoch)
        else:
            left.add(row.id)
    whole = parts.keys() - left
    return Replaced(whole, {one: epochs for one, epochs in parts.items() if one in left})


def send_rest(connection: Connection, delivery_id: int, epochs: Collection[str]) -> None:
    """Put a delivery of the other epochs, which is pending, in the place of a dead letter of metrics.

    Args:
        connection: In a write transaction.
        delivery_id: The dead letter.
        epochs: Those that are replaced.
    """
    now = now_text()
    row = connection.execute(select(_D).where(_D.c.id == delivery_id)).one()._asdict()
    connection.execute(update(_D).where(_D.c.id == delivery_id).values(state="superseded", settled_at=now))
    sent = json.loads(row["body"])
    body = encode({**sent, "metrics": {epoch: text for epoch, text in sent["metrics"].items() if epoch not in epochs}})
    place = tables.destinations
    there = connection.execute(select(place).where(place.c.id == row["destination_id"])).one()
    parts = {name: row[name] for name in ("run_id", "kind", "first_event", "last_event", "span")}
    id_ = chunk_id(**parts, platform=there.platform, base_url=there.base_url, body_digest=digest(body))
    kept = {name: value for name, value in row.items() if name not in _FRESH}
    fresh = {"body": body, "chunk_id": id_, "state": "pending", "attempts": 0, "held": 0, "fence": 0}
    connection.execute(insert(_D).values({**kept, **fresh, "next_attempt_at": now, "created_at": now}))
