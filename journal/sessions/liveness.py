"""Which runs are being written to at this moment."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from journal.clock import texts
from journal.encoding import storable
from journal.schema import plausible_times, tables
from journal.sessions.origin import origin

# A session writes a heartbeat every 30 seconds; after four missed ones it is taken for dead.
HEARTBEAT_TIMEOUT = timedelta(seconds=120)


@dataclass(frozen=True)
class Live:
    """What is being written to at this moment.

    Attributes:
        runs: Ids of the runs that have a live session.
        sessions: Ids of the live sessions.
    """

    runs: Sequence[str]
    sessions: Sequence[int]


def live(connection: Connection, now: datetime) -> Live:
    """Return what is being written to."""
    found = _live(connection, now)
    return Live(sorted({session.run_id for session in found}), [session.id for session in found])


def live_runs(connection: Connection, now: datetime) -> list[str]:
    """Return the runs that have a live session."""
    return sorted({session.run_id for session in _live(connection, now)})


def live_sessions(connection: Connection, now: datetime) -> list[int]:
    """Return the ids of the live sessions."""
    return [session.id for session in _live(connection, now)]


def is_training(connection: Connection, now: datetime) -> bool:
    """Return whether any session goes on, also one whose process is here and was silent: the machine may have slept."""
    recent = {session.id for session in _live(connection, now)}
    open_sessions = connection.execute(select(tables.sessions).where(tables.sessions.c.ended_at.is_(None)))
    return bool(recent) or any(
        is_here(row.host, row.boot_id) and not is_dead(row.host, row.boot_id, row.pid) for row in open_sessions
    )


_HEARD_OF = select(tables.sessions).where(
    tables.sessions.c.ended_at.is_(None), tables.sessions.c.heartbeat_at >= bindparam("oldest")
)


def _live(connection: Connection, now: datetime) -> list[Row[Any]]:
    """Return the sessions that are open, have a recent heartbeat, and are not known to be dead.

    A heartbeat from the future is no evidence; then only a process that can be seen here counts as alive. That a
    process is gone tells nothing of a session of which not everything may have come in.
    """
    moments = texts(now, oldest=-HEARTBEAT_TIMEOUT, believed=plausible_times.SKEW)
    heard_of = connection.execute(_HEARD_OF, {"oldest": moments["oldest"]})
    found: list[Row[Any]] = []
    dead: list[Row[Any]] = []
    for row in heard_of:
        (dead if is_dead(row.host, row.boot_id, row.pid) else found).append(row)
    alive = [row for row in found if row.heartbeat_at <= moments["believed"] or is_here(row.host, row.boot_id)]
    if dead:
        where = origin(connection)
        alive += [row for row in dead if row.heartbeat_at <= moments["believed"] and not where.has_written(row)]
    return alive


def is_here(host: str, boot: str) -> bool:
    """Return whether a process of this machine and boot would be visible to us while it lives."""
    return host == host_name() and boot == boot_id() != ""


def is_dead(host: str, boot: str, pid: int) -> bool:
    """Return whether a process is known to be gone: it was on this machine, and no process has its number now.

    Args:
        host: Its machine.
        boot: What `boot_id` said there.
        pid: Its number.
    """
    if host != host_name():
        return False
    if boot == boot_id():
        return not _process_exists(pid)
    # In the same boot its number is from another container's namespace, so nothing is known.
    return boot.partition(" ")[0] != boot_id().partition(" ")[0]


def host_name() -> str:
    """Return this machine's name as storable text, even if it was set in another encoding."""
    return _as_text(platform.node())


_as_text = cache(storable)


def boot_id() -> str:
    """Return the id of this boot, then the namespace of process ids; "" if unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115 - it names no path
    except OSError:
        return ""


def _process_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Return whether a process is dead, and only its parent has not asked for its end yet: nobody may, in a container.

    False where this cannot be known.
    """
    try:
        state = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state == "Z"
