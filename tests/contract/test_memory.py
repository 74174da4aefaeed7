"""A client's memory does not grow with the file that it uploads."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

CODE = """
import hashlib, json, resource, socketserver, sys, tempfile, threading
from pathlib import Path
from uploader.platforms.base import Identity, Upload
from uploader.platforms.http import Transport
from uploader.platforms.hub import HubPlatform

class Sink(socketserver.StreamRequestHandler):
    def handle(self):
        self.rfile.readline()
        length = 0
        while line := self.rfile.readline().strip():
            name, _, value = line.decode().partition(":")
            length = int(value) if name.lower() == "content-length" else length
        self.server.received = length
        while length:
            length -= len(self.rfile.read(min(length, 65536)))
        body = b'{"success": true}'
        self.wfile.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)

def upload(size):
    with tempfile.NamedTemporaryFile() as file:
        file.truncate(size)
        digest = hashlib.sha256()
        for _ in range(size >> 20):
            digest.update(bytes(1 << 20))
        identity = Identity("run", "p", "n", {"modelId": "m"})
        form = {"epoch": 1, "type": "epoch", "isBest": False}
        item = Upload("c", Path(file.name), size, digest.hexdigest(), "last.pt", identity, form=form)
        client.upload(item, lambda _: None)

with socketserver.TCPServer(("127.0.0.1", 0), Sink) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = HubPlatform(f"http://127.0.0.1:{server.server_address[1]}", "key", Transport())
    upload(1 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    upload(int(sys.argv[1]) << 20)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    server.shutdown()
unit = 1 if sys.platform == "darwin" else 1024
print(json.dumps({"grown": (after - before) * unit, "received": server.received}))
"""


@pytest.mark.parametrize("megabytes", [200])
def test_hub_uploads_are_streamed(megabytes: int) -> None:
    done = subprocess.run([sys.executable, "-c", CODE, str(megabytes)], capture_output=True, text=True, check=True)
    seen = json.loads(done.stdout)
    assert seen["received"] > megabytes << 20
    assert seen["grown"] < 4 << 20
