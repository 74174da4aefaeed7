"""A port that a test has chosen stays its own until something listens there."""

from __future__ import annotations

import socket

import pytest
import requests
from support.scripted_server import Reply, free_port, scripted_server


def test_a_free_port_refuses_connections_and_is_given_to_nobody_else() -> None:
    port = free_port()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port))
    with socket.socket() as client, pytest.raises(ConnectionRefusedError):
        client.connect(("127.0.0.1", port))
    for _ in range(2):
        with scripted_server(lambda _: Reply(body={}), port=port) as server:
            assert requests.get(server.url, timeout=60).ok
