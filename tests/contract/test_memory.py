"""A client's memory does not grow with the file that it uploads."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.platform_api import Api
from support.scripted_server import Reply, received, scripted_server

from uploader.server.running import running

KEY = "ul_memory_key"

MEASURE = """
import hashlib, json, re, resource, socketserver, sys, tempfile, threading
from pathlib import Path
from uploader.platforms.base import RunIdentity, Upload
from uploader.platforms.http.transport import Transport

def grown(client, ids, size):
    upload(client, ids, 1 << 20)
    before = peak()
    upload(client, ids, size)
    return peak() - before

def peak():
    # Linux hands the peak of the process that started this one down in ru_maxrss.
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\\s+([0-9]+)", status.read_text())[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

def upload(client, ids, size):
    with tempfile.NamedTemporaryFile() as file:
        file.truncate(size)
        digest = hashlib.sha256()
        for _ in range(size >> 20):
            digest.update(bytes(1 << 20))
        form = {"epoch": 1, "type": "epoch", "isBest": False}
        identity = RunIdentity("run", "p", "n", ids)
        item = Upload(f"c{size}", Path(file.name), size, digest.hexdigest(), "last.pt", identity, form=form)
        client.upload(item, lambda _: None)
"""

HUB = """
from uploader.platforms.hub.client import HubPlatform

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

with socketserver.TCPServer(("127.0.0.1", 0), Sink) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = HubPlatform(f"http://127.0.0.1:{server.server_address[1]}", "key", Transport())
    more = grown(client, {"modelId": "m"}, int(sys.argv[1]) << 20)
    server.shutdown()
print(json.dumps({"grown": more, "received": server.received}))
"""

CHUNKS = """
from uploader.platforms.ultralytics.client import UltralyticsPlatform

client = UltralyticsPlatform(sys.argv[2], sys.argv[3], Transport())
print(json.dumps({"grown": grown(client, json.loads(sys.argv[4]), int(sys.argv[1]) << 20)}))
"""

LOOKUPS = """
from concurrent.futures import ThreadPoolExecutor
from uploader.platforms.base import Message
from uploader.platforms.ultralytics.client import UltralyticsPlatform

client = UltralyticsPlatform(sys.argv[2], sys.argv[3], Transport())
message = Message("a" * 64, "training_started", "{}", RunIdentity("u", "demo", "t"), 2)
client.register(message)
before = peak()
with ThreadPoolExecutor(8) as threads:
    list(threads.map(client.register, [message] * int(sys.argv[1])))
print(json.dumps({"first": before, "grown": peak() - before}))
"""


def measure(code: str, *arguments: object) -> Any:
    command = [sys.executable, "-c", MEASURE + code, *map(str, arguments)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize("megabytes", [200])
def test_hub_uploads_are_streamed(megabytes: int) -> None:
    seen = measure(HUB, megabytes)
    assert seen["received"] > megabytes << 20
    assert seen["grown"] < 4 << 20


@pytest.mark.parametrize("megabytes", [80])
def test_uploads_in_chunks_hold_a_chunk_at_a_time(megabytes: int, tmp_path: Path) -> None:
    with running(tmp_path / "platform", api_key=KEY) as server:
        api = Api(server.url, KEY)
        ids = {name: value for name, value in api.start().items() if name in {"modelId", "runId"}}
        seen = measure(CHUNKS, megabytes, server.url, KEY, json.dumps(ids))
        assert api.model()["file"]["size"] == megabytes << 20
    assert seen["grown"] < 4 << 20


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="how much of it another C library keeps is not known")
def test_lists_of_models_are_read_one_at_a_time() -> None:
    models = [{"id": f"m-{n}", "consoleChunks": [{"content": "x" * 80}] * 2000} for n in range(50)]
    answers = {"/api/account/summary": {"username": "me"}, "/api/models/me/demo?limit=50": {"models": models}}
    encoded = {path: json.dumps(answer).encode() for path, answer in answers.items()}
    with scripted_server(lambda each: Reply(body=encoded[each.path]) if each.method == "GET" else received(each)) as it:
        seen = measure(LOOKUPS, 16, it.url, KEY)
    assert seen["grown"] < seen["first"] / 2
