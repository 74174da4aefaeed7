"""What SQLAlchemy compiles of statements, kept once for all engines of a test process.

An engine compiles each statement once. A test opens a journal of its own, and so has an engine of its own: compiling
was a third to a half of the time of a test that drains.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, event


class _Compiled(dict[tuple[Any, ...], Any]):
    """Compiled statements, found by every engine that speaks to the same version of the same database."""

    def get(self, key: tuple[Any, ...], default: Any = None) -> Any:
        return super().get(_of_any_engine(key), default)

    def __setitem__(self, key: tuple[Any, ...], compiled: Any) -> None:
        super().__setitem__(_of_any_engine(key), compiled)


def _of_any_engine(key: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a key that names the kind of its dialect, where SQLAlchemy has the dialect of one engine."""
    dialect, *statement = key
    return (type(dialect), dialect.server_version_info, *statement)


def share_compiled_statements() -> None:
    """Have each connection of this process look for its statements in one place."""
    compiled = _Compiled()

    def look_there(connection: Connection) -> None:
        connection.execution_options(compiled_cache=compiled)

    event.listen(Engine, "engine_connect", look_there)
