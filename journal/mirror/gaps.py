"""Events that a mirror should have and a journal did not get from it: numbers that are missing below others.

That a session's last events are missing cannot be told: nothing says that there were any.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import Connection, bindparam, func, select, text

from journal.kinds import GIVEN_UP
from journal.mirror.layout import SegmentName
from journal.mirror.numbers import Numbers
from journal.schema import tables

_E = tables.events
_S = tables.sessions
_HIGHEST = (
    select(_S.c.uuid, func.coalesce(func.max(_E.c.seq), 0))
    .outerjoin(_E, _E.c.session_id == _S.c.id)
    .where(_S.c.run_id == bindparam("run"))
    .group_by(_S.c.id)
)
_EVICTED = text(
    f"""
    SELECT coalesce(sum(json_extract(item.value, '$.count')), 0)
    FROM events e, json_each(e.payload, '$.items') AS item
    WHERE e.run_id = :run AND e.kind = '{GIVEN_UP}' AND json_valid(e.payload)
      AND json_extract(item.value, '$.what') NOT LIKE '%checkpoint%'
    """  # noqa: S608 - names of this package
)


def gaps(connection: Connection, names: Iterable[SegmentName]) -> list[str]:
    """Return, in words, which events of runs a journal misses, but for as many as the run itself says were evicted.

    Args:
        connection: To the journal, into which these were restored.
        names: Segments of a mirror.
    """
    last: dict[str, dict[SegmentName, int]] = defaultdict(dict)
    for name in names:
        session = name._replace(first=0, last=0, digest="")
        last[name.run][session] = max(name.last, last[name.run].get(session, 0))
    return [words for run, sessions in sorted(last.items()) for words in _of_run(connection, run, sessions)]


def is_ahead(connection: Connection, run: str, names: Iterable[SegmentName]) -> bool:
    """Return whether a mirror has sessions of a run that a journal does not know, or later events of one that it does.

    Earlier events that the journal lacks may have been evicted.

    Args:
        connection: To the journal.
        run: Uuid of the run.
        names: Its segments in the mirror.
    """
    highest: dict[str, int] = {row[0]: row[1] for row in connection.execute(_HIGHEST, {"run": run})}
    return any(name.last > highest.get(name.session, 0) for name in names)


def in_words(name: SegmentName, first: int, last: int) -> str:
    """Return in words that events of a session are missing."""
    return f"events {first} to {last} of session {name.session} of run {name.run}"


def _of_run(connection: Connection, run: str, sessions: dict[SegmentName, int]) -> list[str]:
    missing = [
        (session, *gap) for session, last in sessions.items() for gap in _missing(connection, session.session, last)
    ]
    if not missing:
        return []
    evicted = connection.execute(_EVICTED, {"run": run}).scalar_one()
    number = sum(last - first + 1 for _, first, last in missing)
    return [] if number <= evicted else [in_words(*gap) for gap in missing]


def _missing(connection: Connection, session: str, last: int) -> list[tuple[int, int]]:
    mine = _E.c.session_id.in_(select(_S.c.id).where(_S.c.uuid == session)) & _E.c.seq.between(1, last)
    if connection.execute(select(func.count(_E.c.seq.distinct())).where(mine)).scalar_one() == last:
        return []
    there = Numbers()
    for number in connection.execute(select(_E.c.seq).where(mine).order_by(_E.c.seq)).scalars():
        there.add(number, number)
    return [(first, min(end, last)) for first, end in there.missing() if first <= last]
