"""Addresses that were tried and at which nobody ever was: mistyped ones look so, and servers that are off."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from journal.doctor.findings import Finding, notice
from journal.next_steps import next_command
from journal.quantities import count

_UNREACHED = """
    SELECT d.platform, d.base_url, count(*) FROM destinations d JOIN targets t ON t.destination_id = d.id
    WHERE t.dropped_at IS NULL AND d.base_url != ''
        AND NOT EXISTS (SELECT 1 FROM targets x WHERE x.destination_id = d.id AND (x.state != 'new' OR x.ids != '{}'))
        AND NOT EXISTS (SELECT 1 FROM deliveries x WHERE x.destination_id = d.id AND x.attempts > 0)
        AND EXISTS (
            SELECT 1 FROM attempts a JOIN deliveries x ON x.id = a.delivery_id WHERE x.destination_id = d.id)
    GROUP BY d.id ORDER BY d.id"""
"""What finds nobody is not counted in a delivery's `attempts`, and has a row among those."""


def check_reached(connection: sqlite3.Connection, folder: Path) -> Iterator[Finding]:
    """Look for addresses that runs wait for, and that never answered.

    Args:
        connection: The journal's database, also one of an earlier schema.
        folder: The journal.
    """
    with suppress(sqlite3.OperationalError, ValueError):  # an earlier schema, or a base URL that is none
        for platform, url, runs in connection.execute(_UNREACHED).fetchall():
            yield _finding(str(platform), _without_password(str(url)), runs, folder)


def _finding(platform: str, url: str, runs: int, folder: Path) -> Finding:
    given = f"{url} --platform {platform}"
    route, drop = (next_command(words, folder) for words in (f"route --from {given} --to URL", f"drop --to {given}"))
    advice = f"If it was mistyped, `{route}` sends all of it to the right one; if it is gone, `{drop}` gives it up."
    waiting = f"{count(runs, 'run')} wait{'s' if runs == 1 else ''}"
    return notice("never-reached", f"{waiting} for {url}, where nobody has ever been reached.", advice)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
