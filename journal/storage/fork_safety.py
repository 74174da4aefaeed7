"""No connection crosses a fork.

A child that opened its own beside an inherited one would share SQLite's book-keeping with it, hold no lock of its own,
and lose what it writes when the parent closes last and removes the log (https://sqlite.org/howtocorrupt.html, "Carrying
an open database connection across a fork"). So every connection is closed before a fork, and none is opened until it is
over; each side then opens its own when it needs one. The locks that keep the log (`log_locks.py`) stay with the
parent meanwhile.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from contextlib import suppress
from typing import Protocol

from sqlalchemy.exc import DBAPIError

from journal.storage import connections
from journal.storage.descriptors import LOCK


class Connected(Protocol):
    """Something that holds a connection.

    Attributes:
        lock: Held by whoever uses the connection.
    """

    lock: threading.RLock

    def close_for_fork(self) -> None:
        """Close the connection; the next use opens another one."""


_connected: weakref.WeakSet[Connected] = weakref.WeakSet()
_forking = threading.Lock()
_closed: list[Connected] = []


def register(holder: Connected) -> None:
    """Have the holder closed before each fork, as long as it lives."""
    _connected.add(holder)


def _before_fork() -> None:
    _forking.acquire()
    for holder in list(_connected):
        holder.lock.acquire()
        _closed.append(holder)
        with suppress(DBAPIError, sqlite3.Error):
            holder.close_for_fork()
    LOCK.acquire()  # last: who connects holds its own lock before it asks for this one


def _after_fork_in_child() -> None:
    connections.forget()
    _after_fork()


def _after_fork() -> None:
    LOCK.release()
    while _closed:
        _closed.pop().lock.release()
    _forking.release()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
