"""What does not arrive: what platforms refused, and what goes where nobody was ever reached."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from journal.doctor.findings import Finding, notice, some, trouble
from journal.kinds import NOT_FOR_PLATFORMS, listed
from journal.next_steps import next_command
from journal.outbox.obstacles import PREFIX, from_fact
from journal.quantities import count

_DEAD = """
    SELECT d.id, d.kind, r.name, coalesce(d.last_error, 'no reason given')
    FROM deliveries d JOIN runs r ON r.id = d.run_id WHERE d.state = 'dead' ORDER BY d.id"""
_BLOCKED = """
    SELECT r.name, r.id, d.base_url, coalesce(t.reason, 'no reason given')
    FROM targets t JOIN runs r ON r.id = t.run_id JOIN destinations d ON d.id = t.destination_id
    WHERE t.state = 'blocked' AND t.dropped_at IS NULL ORDER BY r.created_at"""
_WRONG = """
    SELECT r.name, r.id, d.base_url, v.missing, v.different,
           t.stage > 0 AND NOT EXISTS (SELECT 1 FROM deliveries x WHERE x.run_id = v.run_id AND x.stage <= 1
                                       AND x.destination_id = v.destination_id) AS is_pruned
    FROM verifications v
    JOIN runs r ON r.id = v.run_id JOIN destinations d ON d.id = v.destination_id
    JOIN targets t ON t.run_id = v.run_id AND t.destination_id = v.destination_id
    WHERE v.missing + v.different > 0 AND t.dropped_at IS NULL
        AND NOT EXISTS (SELECT 1 FROM events e WHERE e.run_id = v.run_id AND e.id > v.last_event)
        AND NOT EXISTS (
            SELECT 1 FROM deliveries x WHERE x.run_id = v.run_id AND x.destination_id = v.destination_id
                AND (x.id > v.last_delivery OR x.settled_at > v.verified_at OR x.state IN ('pending', 'claimed')))
    ORDER BY r.created_at"""
"""Where nothing was recorded or delivered since, as `journal.outbox.verifications` has it, and whether events of
it were deleted, as `journal.retention.prunable` has it."""
_UNREACHED = """
    SELECT d.platform, d.base_url, count(*) FROM destinations d JOIN targets t ON t.destination_id = d.id
    WHERE t.dropped_at IS NULL AND d.base_url != ''
        AND NOT EXISTS (SELECT 1 FROM targets x WHERE x.destination_id = d.id AND (x.state != 'new' OR x.ids != '{}'))
        AND NOT EXISTS (SELECT 1 FROM deliveries x WHERE x.destination_id = d.id AND x.attempts > 0)
        AND EXISTS (
            SELECT 1 FROM attempts a JOIN deliveries x ON x.id = a.delivery_id WHERE x.destination_id = d.id)
    GROUP BY d.id ORDER BY d.id"""
"""An attempt that reaches nobody is not counted in a delivery's `attempts`, but has a row in the table of that name."""


_HELD_UP = f"""
    SELECT f.value, d.base_url, count(*) FROM facts f JOIN destinations d ON f.name = '{PREFIX}' || d.id
    JOIN targets t ON t.destination_id = d.id
    WHERE t.dropped_at IS NULL AND t.state != 'blocked' AND (
        EXISTS (SELECT 1 FROM deliveries x WHERE x.destination_id = d.id AND x.run_id = t.run_id
                AND x.state IN ('pending', 'claimed'))
        OR EXISTS (SELECT 1 FROM events e WHERE e.run_id = t.run_id AND e.id > t.planned_through
                   AND e.kind NOT IN ({listed(NOT_FOR_PLATFORMS)})))
    GROUP BY d.id, d.base_url, f.value ORDER BY d.id"""
"""Where something waits, as `journal.reading.remaining` has it."""
_HELPS = {
    "key refused": "Set a key that it accepts, then {drain}.",
    "no key": "Set a key for it, then {drain}.",
    "not supported": "Once that is put right, {drain} goes on.",
    "away": "{drain} tries it again; if the address is wrong, {route} names the right one.",
}


class Asked(Protocol):
    """What is asked for rows: a connection of SQLite, or what asks a shared journal."""

    def execute(self, query: str, /) -> Iterable[Any]:
        """Return the rows."""


def check_refused(connection: Asked, folder: Path) -> Iterator[Finding]:
    """Look for dead letters, and for runs that a platform refused as a whole.

    Args:
        connection: The journal's database, also one of an earlier schema.
        folder: The journal.
    """
    retry, drop = (f"`{next_command(command, folder)}`" for command in ("retry ID", "drop ID"))
    if dead := _rows(connection, _DEAD):
        which = some([f"{number} ({kind} of {run}): {why}" for number, kind, run, why in dead])
        advice = f"Put the cause right, then {retry}; {drop} gives one up for good."
        yield trouble("dead-letters", f"refused for good: {count(len(dead), 'dead letter')}: {which}", advice)
    if blocked := _rows(connection, _BLOCKED):
        which = some([f"{run} ({run_id}) by {url}: {why}" for run, run_id, url, why in blocked])
        one = _one(run_id for _, run_id, *_ in blocked)
        retry, route = (f"`{next_command(each, folder)}`" for each in (f"retry {one}", f"route {one} --project P"))
        advice = f"Put the cause right, then {retry}; {route} names another project."
        yield trouble("run-refused", f"refused as a whole: {count(len(blocked), 'run')}: {which}", advice)


def check_held_up(connection: Asked, folder: Path) -> Iterator[Finding]:
    """Look for what a drain has found in the way of everything that waits for a destination, such as a refused key.

    Args:
        connection: The journal's database, also one of an earlier schema.
        folder: The journal.
    """
    for value, url, runs in _rows(connection, _HELD_UP):
        if found := from_fact(value):
            waiting = f"{count(int(str(runs)), 'run')} wait{'s' if runs == 1 else ''} for {_without_password(str(url))}"
            detail = f"{waiting}: {found.cause} since {found.since}, tried at {found.at}: {found.reason}"
            drain, route = (f"`{next_command(each, folder)}`" for each in ("drain", "route --from URL --to URL"))
            make, code = trouble if found.wants_person else notice, found.cause.replace(" ", "-")
            yield make(code, detail, _HELPS[found.cause].format(drain=drain, route=route))


def check_read_back(connection: Asked, folder: Path) -> Iterator[Finding]:
    """Look for runs that are not where they were delivered, as `verify` has found.

    Args:
        connection: The journal's database, also one of an earlier schema.
        folder: The journal.
    """
    if wrong := _rows(connection, _WRONG):
        which = some(
            [
                f"{run} ({run_id}) at {url}: {missing} missing, {different} different"
                for run, run_id, url, missing, different, _ in wrong
            ]
        )
        again, lost = (
            sorted({str(row[1]) for row in wrong if bool(row[5]) is is_pruned}) for is_pruned in (False, True)
        )
        fix = next_command(f"verify {_one(again)} --fix", folder)
        advice = [f"Run `{fix}`: the next drain sends that again."] if again else []
        advice += [f"The events of {some(lost)} were pruned, so nothing here can send those again."] if lost else []
        yield trouble("not-there", f"not there as recorded: {count(len(wrong), 'run')}: {which}", " ".join(advice))


def _one(run_ids: Iterable[object]) -> str:
    """Return what a command is to call a run: the only one by its id, one of several by a word for it."""
    different = {*map(str, run_ids)}
    return different.pop() if len(different) == 1 else "RUN"


def _rows(connection: Asked, query: str) -> list[tuple[object, ...]]:
    with suppress(sqlite3.OperationalError):  # a column that an earlier schema has not got
        return list(connection.execute(query))
    return []


def check_reached(connection: Asked, folder: Path) -> Iterator[Finding]:
    """Look for addresses that runs wait for, and that never answered.

    Args:
        connection: The journal's database, also one of an earlier schema.
        folder: The journal.
    """
    with suppress(sqlite3.OperationalError, ValueError):  # an earlier schema, or a base URL that is none
        for platform, url, runs in list(connection.execute(_UNREACHED)):
            yield _finding(str(platform), _without_password(str(url)), runs, folder)


def _finding(platform: str, url: str, runs: int, folder: Path) -> Finding:
    given = f"{url} --platform {platform}"
    route, drop = (
        next_command(command, folder) for command in (f"route --from {given} --to URL", f"drop --to {given}")
    )
    advice = f"If it was mistyped, `{route}` sends all of it to the right one; if it is gone, `{drop}` gives it up."
    waiting = f"{count(runs, 'run')} wait{'s' if runs == 1 else ''}"
    return notice("never-reached", f"{waiting} for {url}, where nobody has ever been reached.", advice)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
