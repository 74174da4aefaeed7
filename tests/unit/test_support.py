"""What tests stand on holds wherever a machine stops: before a thread runs, or within a character that is printed."""

from __future__ import annotations

import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from support import cutter, scripted_server
from support.terminals import Terminal

PRINTS_HALF_A_CHARACTER = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
os.write(1, b"begun \\xc3")
signal.sigwait({signal.SIGUSR1})
os.write(1, b"\\xa9")
"""


@pytest.fixture
def accepted(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set once a connection is accepted; its thread does not run before the server has ended all that it knows of."""
    accepted, ended = threading.Event(), threading.Event()
    for module in (scripted_server, cutter):
        setup, end_all = module._Connection.setup, module._Listener.end_connections

        def wait(connection: Any, setup: Callable[[Any], None] = setup) -> None:
            accepted.set()
            ended.wait(60)
            setup(connection)

        monkeypatch.setattr(module._Connection, "setup", wait)
        monkeypatch.setattr(module._Listener, "end_connections", lambda it, end_all=end_all: (end_all(it), ended.set()))
    return accepted


@contextmanager
def cutting() -> Iterator[cutter.Cutter]:
    with scripted_server.scripted_server() as behind, cutter.cutting(behind.url, []) as made:
        yield made


@pytest.mark.parametrize("serve", [scripted_server.scripted_server, cutting])
def test_servers_end_connections_whose_threads_have_not_run_yet(
    accepted: threading.Event, serve: Callable[[], AbstractContextManager[Any]]
) -> None:
    with socket.socket() as client:
        with serve() as server:
            client.connect(("127.0.0.1", int(server.url.rpartition(":")[2])))
            assert accepted.wait(60)
        assert client.recv(1) == b""


def test_a_character_that_comes_in_two_pieces_is_read() -> None:
    with Terminal([sys.executable, "-c", PRINTS_HALF_A_CHARACTER], {}) as terminal:
        terminal.wait_for("begun")
        terminal.process.send_signal(signal.SIGUSR1)
        terminal.wait_for("é")
