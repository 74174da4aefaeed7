"""What reading platforms back has shown of runs: the last verification of each target, and whether it still holds.

It no longer does once the run has another event, or another delivery to that destination was made or settled: what is
there now is not what was looked at.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import Connection, Row, bindparam, delete, text

from journal.clock import to_text
from journal.schema import tables
from journal.schema.neutral import upsert

Word = Literal["proven", "different", "missing", "unreadable"]
"""What a verification says of an item. What is `unreadable` cannot be read back from that platform: it may be there."""
WORDS: tuple[Word, ...] = get_args(Word)
MOST_FINDINGS = 100
"""So many of the items that were not proven are kept by name; all are counted."""

_V = tables.verifications


@dataclass(frozen=True)
class Finding:
    """An item that was not proven.

    Attributes:
        item: What it is, such as `epoch 3`.
        word: Which of the four it is.
        why: What was seen, in words.
    """

    item: str
    word: Word
    why: str


@dataclass(frozen=True)
class Seen:
    """How much of a journal a verification knew.

    Attributes:
        at: When the journal was read.
        last_event: Id of the run's newest event.
        last_delivery: Id of its newest delivery to the destination.
    """

    at: datetime
    last_event: int
    last_delivery: int


@dataclass(frozen=True)
class Found:
    """What one verification found.

    Attributes:
        known: What of the journal was compared.
        counts: How many items were found to be so; a word that is absent was said of none. What only waited to be sent
            is not among the missing: the next drain sends it.
        findings: Those that were not proven, in order: what is wrong, what only waited, what could not be read back.
        is_deep: Whether the checkpoint was downloaded and its sha256 compared.
    """

    known: Seen
    counts: Mapping[Word, int]
    findings: Sequence[Finding]
    is_deep: bool = False


@dataclass(frozen=True)
class Verification:
    """The last verification of a run at one destination.

    Attributes:
        run_id: Uuid of the run.
        destination_id: Where it was read back from.
        platform: Name of the API there.
        base_url: Its address.
        verified_at: When, ISO.
        is_deep: Whether the checkpoint was downloaded and its sha256 compared.
        proven: How many items are there as the journal has them.
        different: How many are there otherwise.
        missing: How many are not there, without those that only waited to be sent.
        unreadable: How many that platform does not show.
        findings: Those that were not proven, `MOST_FINDINGS` at most.
        is_current: Whether it still holds: nothing of the run was recorded or delivered since.
    """

    run_id: str
    destination_id: int
    platform: str
    base_url: str
    verified_at: str
    is_deep: bool
    proven: int
    different: int
    missing: int
    unreadable: int
    findings: tuple[Finding, ...]
    is_current: bool

    @property
    def waits(self) -> bool:
        """Whether all that was not there only waited to be sent: that is among the findings, but not counted."""
        return not self.missing and any(one.word == "missing" for one in self.findings)

    @property
    def is_verified(self) -> bool:
        """Whether all of the run that the platform shows is as the journal has it, and nothing has changed since."""
        is_wrong = self.different or self.missing or self.waits
        return self.is_current and self.proven > 0 and not is_wrong

    @property
    def is_proven(self) -> bool:
        """Whether everything of the run is, without anything that the platform does not show."""
        return self.is_verified and not self.unreadable


# One pass over the deliveries, which have no index by run.
_QUERY = """
    SELECT v.*, d.platform, d.base_url,
           NOT EXISTS (SELECT 1 FROM events e WHERE e.run_id = v.run_id AND e.id > v.last_event)
           AND coalesce(x.newest <= v.last_delivery AND x.settled_at <= v.verified_at AND x.open = 0, 1 = 1)
             AS is_current
    FROM verifications v JOIN destinations d ON d.id = v.destination_id
    LEFT JOIN (SELECT run_id, destination_id, max(id) AS newest, coalesce(max(settled_at), '') AS settled_at,
                      max(CASE WHEN state IN ('pending', 'claimed') THEN 1 ELSE 0 END) AS open
               FROM deliveries WHERE run_id IN (SELECT run_id FROM verifications) GROUP BY run_id, destination_id) x
      ON x.run_id = v.run_id AND x.destination_id = v.destination_id"""
_ALL = text(f"{_QUERY} ORDER BY v.run_id, v.destination_id")
_OF_RUNS = text(f"{_QUERY} WHERE v.run_id IN :run_ids ORDER BY v.run_id, v.destination_id").bindparams(
    bindparam("run_ids", expanding=True)
)
_SEEN = text(
    """
    SELECT coalesce((SELECT max(id) FROM events WHERE run_id = :run_id), 0) AS last_event,
           coalesce((SELECT max(id) FROM deliveries WHERE run_id = :run_id AND destination_id = :destination_id), 0)
             AS last_delivery
    """
)


def verifications(connection: Connection, run_ids: Sequence[str] | None = None) -> list[Verification]:
    """Return the last verification of each target that was ever verified.

    Args:
        connection: Any.
        run_ids: Only of these runs; None for all.
    """
    rows = connection.execute(_ALL) if run_ids is None else connection.execute(_OF_RUNS, {"run_ids": list(run_ids)})
    return [_from_row(row) for row in rows]


def seen(connection: Connection, run_id: str, destination_id: int, now: datetime) -> Seen:
    """Return how much of a run's events and deliveries there is now, in the transaction that reads them."""
    row = connection.execute(_SEEN, {"run_id": run_id, "destination_id": destination_id}).one()
    return Seen(now, row.last_event, row.last_delivery)


def note(connection: Connection, run_id: str, destination_id: int, found: Found) -> None:
    """Store what a verification found, in place of the one before.

    Args:
        connection: In a write transaction.
        run_id: Uuid of the run.
        destination_id: Where it was read back from.
        found: What it found.
    """
    counted: dict[str, int] = {word: found.counts.get(word, 0) for word in WORDS}
    values: dict[str, Any] = {
        "verified_at": to_text(found.known.at),
        "is_deep": int(found.is_deep),
        "last_event": found.known.last_event,
        "last_delivery": found.known.last_delivery,
        **counted,
        "findings": json.dumps([asdict(finding) for finding in found.findings[:MOST_FINDINGS]]),
    }
    row = upsert(_V).values(run_id=run_id, destination_id=destination_id, **values)
    connection.execute(row.on_conflict_do_update(index_elements=["run_id", "destination_id"], set_=values))


def forget(connection: Connection, run_id: str, destination_id: int) -> None:
    """Forget the verification of a target, of which everything is sent again."""
    connection.execute(delete(_V).where(_V.c.run_id == run_id, _V.c.destination_id == destination_id))


def _from_row(row: Row[Any]) -> Verification:
    findings = tuple(Finding(one["item"], one["word"], one["why"]) for one in json.loads(row.findings))
    return Verification(
        run_id=row.run_id,
        destination_id=row.destination_id,
        platform=row.platform,
        base_url=row.base_url,
        verified_at=row.verified_at,
        is_deep=bool(row.is_deep),
        proven=row.proven,
        different=row.different,
        missing=row.missing,
        unreadable=row.unreadable,
        findings=findings,
        is_current=bool(row.is_current),
    )
