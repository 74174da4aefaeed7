"""What epochs told that is no finite number."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, text

_OTHERS = text(
    """
    SELECT id FROM events WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_each(:ids))
      AND (instr(payload, '"nonFinite"') > 0 OR instr(payload, '"values"') > 0)
    """
)
_PAYLOAD = text("SELECT payload FROM events WHERE id = :id")


def other_epochs(connection: Connection, epochs: Sequence[Row[Any]], most: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the newest epochs that may have told something else than finite numbers, by number, the newest first.

    Args:
        connection: Any.
        epochs: All of a run, from `newest_epochs`.
        most: So many at most.
    """
    numbers = {row.id: row.number for row in reversed(epochs)}
    others = set(connection.execute(_OTHERS, {"ids": json.dumps([*numbers])}).scalars())
    for event_id in [one for one in numbers if one in others][:most]:
        try:
            told = json.loads(connection.execute(_PAYLOAD, {"id": event_id}).scalar_one())
        except ValueError:
            continue
        if isinstance(told, dict):
            yield numbers[event_id], told
