"""Connections end when their transport is closed, and do not wait for a garbage collection."""

from __future__ import annotations

import gc
import socket
import threading

import pytest

from uploader.platforms.http.transport import Transport

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


def test_an_idle_connection_is_closed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    ended: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(60)
                connection.recv(1 << 16)
                connection.sendall(_ANSWER)
                ended.append(connection.recv(1))

        serving = threading.Thread(target=answer)
        serving.start()
        gc.disable()
        try:
            transport = Transport(connections=1)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            assert transport.request("GET", url, headers={}, is_api=True).status == 200
            transport.close()
            serving.join()
        finally:
            gc.enable()
    assert ended == [b""]
