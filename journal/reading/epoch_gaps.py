"""Which epochs of a run the journal lacks, as its other epochs show."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

from sqlalchemy import Connection, text

from journal.kinds import EPOCH, REGISTRATION, listed
from journal.metrics import REVISION
from journal.schema.neutral import begins_with_digit
from journal.schema.neutral import number as number_of
from journal.schema.tables import RANK

NOT_RESUMED = ("False", "None", "0", "")
"""How a training that is not resumed writes the argument that would say so."""

_IS_NUMBERED = f"kind = '{EPOCH}' AND {begins_with_digit('key')}"
_NUMBER = number_of("key")
# Of the runs alone whose last number is not that of as many epochs: those of most runs need not be fetched.
_LAST = 10**7
"""No training has so many epochs: a higher number was not counted, and what lies before it is not missing."""
_DOUBTFUL = text(
    f"""
    SELECT run_id FROM events WHERE {_IS_NUMBERED} GROUP BY run_id
    HAVING max({_NUMBER}) != count(DISTINCT {_NUMBER}) - 1
    """  # noqa: S608 - names of this module
)
_NUMBERS = text(
    f"""
    SELECT DISTINCT run_id, {_NUMBER} AS number FROM events
    WHERE {_IS_NUMBERED} AND run_id IN (SELECT value FROM json_each(:runs))
    ORDER BY run_id, number
    """  # noqa: S608 - names of this module
)
# Whether the first session that is known of a run continued an earlier one, or a checkpoint. What upstream has streamed
# before is with that model.
_IS_OF_STEPS = text(
    f"""
    SELECT EXISTS (SELECT 1 FROM events WHERE run_id = :run_id AND kind = '{EPOCH}'
      AND json_valid(payload) AND json_extract(payload, '$.{REVISION}') IS NOT NULL)
    """  # noqa: S608 - names of this package
)
_GOES_ON = text(
    f"""
    SELECT s.generation > 1
           OR coalesce(CAST(json_extract(e.payload, '$.trainArgs.resume') AS TEXT), '') NOT IN ({listed(NOT_RESUMED)})
    FROM sessions s LEFT JOIN events e ON e.session_id = s.id AND e.kind = '{REGISTRATION}' AND json_valid(e.payload)
    WHERE s.run_id = :run_id AND s.purpose IS NULL
      AND coalesce(json_extract(e.payload, '$.environment.platformModel'), '') = ''
    ORDER BY {RANK} LIMIT 1
    """  # noqa: S608 - names of this package
)


def missing_epochs(connection: Connection, pruned: Collection[str]) -> Mapping[str, Sequence[int]]:
    """Return the numbers, from 0, of the epochs that the journal lacks of runs that have later ones.

    Args:
        connection: Any.
        pruned: Runs whose events were deleted, of which nothing can be said.
    """
    known: dict[str, list[int]] = {}
    doubtful = [run_id for run_id in connection.execute(_DOUBTFUL).scalars() if run_id not in pruned]
    rows = connection.execute(_NUMBERS, {"runs": json.dumps(doubtful)}) if doubtful else ()
    for run_id, number in rows:
        known.setdefault(run_id, []).append(number)
    found = {}
    for run_id, numbers in known.items():
        if missing := gaps(connection, run_id, numbers):
            found[run_id] = missing
    return found


def gaps(connection: Connection, run_id: str, numbers: Sequence[int]) -> list[int]:
    """Return the numbers of the epochs that the journal lacks of one run.

    Args:
        connection: Any.
        run_id: The run; it was not pruned.
        numbers: Of those that the journal has, in their order; at least one.
    """
    if numbers[-1] == len(numbers) - 1 or numbers[-1] > _LAST or not tells_each(numbers):
        return []
    if connection.execute(_IS_OF_STEPS, {"run_id": run_id}).scalar():
        return []  # a loop of one's own, or a framework's: it tells of the steps that it chooses
    goes_on = numbers[0] > 0 and connection.execute(_GOES_ON, {"run_id": run_id}).scalar()
    return sorted({*range(0 if goes_on else numbers[0], numbers[-1])} - {*numbers})


def tells_each(numbers: Sequence[int]) -> bool:
    """Return whether a training tells of each epoch: a loop of one's own may tell of every tenth only."""
    return any(later - earlier == 1 for earlier, later in pairwise(numbers))
