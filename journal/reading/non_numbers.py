"""What epochs told that is no finite number."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, text

from journal.kinds import EPOCH
from journal.schema.tables import RANK

_OTHERS = text(
    f"""
    SELECT n.number, e.payload
    FROM (SELECT e.id, CAST(e.key AS INTEGER) AS number, max({RANK})
          FROM events e JOIN sessions s ON s.id = e.session_id
          WHERE e.run_id = :run AND e.kind = '{EPOCH}' GROUP BY e.key) n JOIN events e ON e.id = n.id
    WHERE instr(e.payload, '"nonFinite"') OR instr(e.payload, '"values"') ORDER BY n.number DESC LIMIT :most
    """  # noqa: S608 - names of this package
)


def other_epochs(connection: Connection, run_id: str, most: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the newest epochs that may have told something else than finite numbers, by number, the newest first.

    Args:
        connection: Any.
        run_id: The run.
        most: So many at most.
    """
    for row in connection.execute(_OTHERS, {"run": run_id, "most": most}):
        try:
            told = json.loads(row.payload)
        except ValueError:
            continue
        if isinstance(told, dict):
            yield row.number, told
