"""Which runs are being written to at this moment."""

from __future__ import annotations

import os
import platform
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, select

from journal.clock import to_text
from journal.encoding import storable
from journal.schema import plausible_times, tables

# A session writes its heartbeat every 30 seconds; four missed ones and it is taken for dead.
HEARTBEAT_TIMEOUT = timedelta(seconds=120)


def live_runs(connection: Connection, now: datetime) -> list[str]:
    """Return the runs that have a live session."""
    return sorted({session.run_id for session in _live(connection, now)})


def live_sessions(connection: Connection, now: datetime) -> list[int]:
    """Return the ids of the live sessions."""
    return [session.id for session in _live(connection, now)]


def _live(connection: Connection, now: datetime) -> list[Row[Any]]:
    """Return the sessions that are open, heard of lately, and not known to be dead.

    A heartbeat from the future tells nothing; then only a process that is seen here is known to be alive.
    """
    query = select(tables.sessions).where(
        tables.sessions.c.ended_at.is_(None),
        tables.sessions.c.heartbeat_at >= to_text(now - HEARTBEAT_TIMEOUT),
    )
    found = [row for row in connection.execute(query) if not is_dead(row.host, row.boot_id, row.pid)]
    believed = plausible_times.latest(now)
    return [row for row in found if row.heartbeat_at <= believed or is_here(row.host, row.boot_id)]


def is_here(host: str, boot: str) -> bool:
    """Return whether this process sees that one, whose machine and boot these are, as long as it lives."""
    return host == host_name() and boot == boot_id() != ""


def is_dead(host: str, boot: str, pid: int) -> bool:
    """Return whether a process is known to be gone: it was one of this machine's, and none has its number now.

    Args:
        host: Its machine.
        boot: What `boot_id` said there.
        pid: Its number.
    """
    if host != host_name():
        return False
    if boot == boot_id():
        return not _process_exists(pid)
    # In the same boot it has its number from another container, and nothing can be told.
    return boot.partition(" ")[0] != boot_id().partition(" ")[0]


def host_name() -> str:
    """Return this machine's name as it can be stored: one that was set in another encoding is no valid text."""
    return storable(platform.node())


def boot_id() -> str:
    """Return what tells this boot of the machine from others, then who numbers its processes; "" where unknown."""
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
    return True
