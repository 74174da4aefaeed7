"""Which of the epochs that a run tells of are none: the final evaluation is told like an epoch, and trains nothing.

This is the one place that knows, for rows in Python and in SQL. Who records a training knows, and says so in the
payload (`SAID`) where it may be taken for the other. Earlier versions and other programs say nothing; what they tell is
judged:

- An evaluation has metrics and, unlike a validation between epochs, no losses of a validation. Its number is no
  criterion, because a training may end early.
- A custom validator may give no losses. Then every epoch looks like an evaluation, and the last one is it if its losses
  in training are those of the epoch before. Where there are no such losses either, nothing tells of an evaluation.

The local platform, which imports nothing of ours, has the same rule in `uploader/server/rules/training_state.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from journal.encoding import encode
from journal.kinds import EPOCH, EVALUATED, TRAINED, VALIDATED

SAID = "evaluation"
"""Member of an epoch's payload: whether it is the final evaluation. Platforms are not sent it."""

# What an epoch is, in SQL, beside its place in the run, so that the newest record of an epoch is a maximum: all SQL has
# that, and it costs no sorting.
_TRAINED, _NONE, _LOOKS_TRAINED, _LOOKS_LIKE_NONE = range(4)


class Told(NamedTuple):
    """What is known of an epoch: what was said of it (`said`), and its metrics."""

    said: bool | None
    metrics: Mapping[str, Any]


def said(payload: Mapping[str, Any]) -> bool | None:
    """Return whether a payload is said to be that of an evaluation, None where nothing is said."""
    found = payload.get(SAID)
    return found if isinstance(found, bool) else None


def said_by_columns(payloads: Sequence[Mapping[str, Any]]) -> list[bool | None]:
    """Return the same of each of many payloads."""
    found = [payload.get(SAID) for payload in payloads]
    return found if {*map(type, found)} <= {bool, type(None)} else [*map(said, payloads)]


def without_said(payload: str) -> tuple[bool | None, str]:
    """Return what a payload, which is JSON text, says, and the payload without it, as upstream sends it."""
    content = json.loads(payload)
    return said(content), encode({name: value for name, value in content.items() if name != SAID})


def looks_like_one(metrics: Mapping[str, Any]) -> bool:
    """Return whether metrics may be those of an evaluation, as far as that can be told from themselves."""
    return _look_like_one(tuple(metrics))


@lru_cache(maxsize=256)
def _look_like_one(names: tuple[str, ...]) -> bool:
    """Return the same by the names of metrics, which the thousands of epochs of a run have in common."""
    return _has(names, EVALUATED) and not _has(names, VALIDATED)


def are_trained(epochs: Sequence[Told]) -> list[bool]:
    """Return of each epoch of a run, in order, whether it was trained."""
    return are_trained_by_columns([one.said for one in epochs], [one.metrics for one in epochs])


def are_trained_by_columns(said: Sequence[bool | None], metrics: Sequence[Mapping[str, Any]]) -> list[bool]:
    """Return the same by what was said of each epoch and by its metrics: nothing is made for each of thousands."""
    looks = [*map(_look_like_one, map(tuple, metrics))]
    unsaid = [place for place, told in enumerate(said) if told is None]
    if all(looks[place] for place in unsaid):  # so that their names do not tell
        is_told = len(unsaid) > 1 and _repeat(metrics[unsaid[-1]], metrics[unsaid[-2]])
        looks = [is_told and place == unsaid[-1] for place in range(len(metrics))]
    return [not (look if told is None else told) for told, look in zip(said, looks, strict=True)]


def follows(before: Mapping[str, Any], after: Told) -> bool:
    """Return whether the next record after an epoch is the evaluation, for who cannot look at all of them.

    Args:
        before: The metrics of the epoch.
        after: The record.
    """
    if after.said is not None:
        return after.said
    return looks_like_one(after.metrics) and _repeat(after.metrics, before)


def _repeat(after: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    losses = _losses(after)
    return bool(losses) and losses == _losses(before)


def _losses(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metrics.items() if name.startswith(TRAINED)}


def _has(names: Sequence[str], start: str) -> bool:
    return any(name.startswith(start) for name in names)


def trained_in_sql(run: str, rank: str) -> str:
    """Return the SQL for how many epochs a run has trained: of what was recorded twice, the newest record counts.

    Args:
        run: Alias of the run.
        rank: The place of the event `e` of the session `s` in its run.
    """
    told = f"CASE json_type(e.payload, '$.{SAID}') WHEN 'false' THEN {_TRAINED} WHEN 'true' THEN {_NONE} END"
    said = f"""CASE WHEN instr(e.payload, '"{SAID}"') > 0 AND json_valid(e.payload) THEN {told} END"""
    looks = f"""CASE WHEN instr(e.payload, '"{EVALUATED}') > 0 AND instr(e.payload, '"{VALIDATED}') = 0
                 THEN {_LOOKS_LIKE_NONE} ELSE {_LOOKS_TRAINED} END"""
    are = {kind: f"count(CASE WHEN (place & 3) = {kind} THEN 1 END)" for kind in range(4)}
    return f"""(
        WITH newest AS (
          SELECT max(({rank} << 2) + coalesce({said}, {looks})) AS place
          FROM events e JOIN sessions s ON s.id = e.session_id
          WHERE e.run_id = {run}.id AND e.kind = '{EPOCH}' GROUP BY e.key),
        last AS (
          SELECT (SELECT json_group_object(m.key, m.value) FROM json_each(e.payload, '$.metrics') m
                  WHERE m.key LIKE '{TRAINED}%') AS losses
          FROM (SELECT place >> 2 AS place FROM newest WHERE (place & 3) >= {_LOOKS_TRAINED}
                ORDER BY place DESC LIMIT 2) n
          JOIN sessions s ON s.run_id = {run}.id AND s.generation = (n.place >> 40)
          JOIN events e ON e.session_id = s.id AND e.seq = (n.place & {(1 << 40) - 1}) AND e.kind = '{EPOCH}'
          WHERE json_valid(e.payload))
        SELECT {are[_TRAINED]} + CASE WHEN {are[_LOOKS_TRAINED]} > 0 THEN {are[_LOOKS_TRAINED]}
          ELSE {are[_LOOKS_LIKE_NONE]}
               - (SELECT CASE WHEN count(*) = 2 AND count(DISTINCT losses) = 1 AND max(losses) != '{{}}'
                         THEN 1 ELSE 0 END FROM last) END
        FROM newest)"""  # noqa: S608 - constants of this package
