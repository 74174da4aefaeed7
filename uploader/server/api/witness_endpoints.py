"""Countersigning the heads of runs: `POST /api/proof/add-checkpoint`, as https://c2sp.org/tlog-witness defines it.

`GET /api/proof/key` gives the key that countersignatures are checked with, `GET /api/proof/heads/RUN` what was
countersigned. The key pair is in the data folder, and is made with the first request.
"""

from __future__ import annotations

import base64
import re
import socket
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from uploader.proof import ed25519
from uploader.proof.heads import PROGRAM
from uploader.server.api.bodies import Json, read_body
from uploader.server.http_errors import NotHere
from uploader.server.local_platform import Platform, platform_of
from uploader.server.rules import witnessing
from uploader.server.rules.witnessing import OtherSizeError, WitnessKey
from uploader.server.storage.secret_files import read_or_create

KEY_FILE = "witness-key"
"""File in the data folder with the key pair."""
PUBLIC_FILE = "witness-key.pub"
"""File in the data folder with the public key, to be handed out."""


async def add_checkpoint(request: Request) -> Response:
    """Countersign a session's head."""
    body = await read_body(request, witnessing.LARGEST)
    return await run_in_threadpool(_add, platform_of(request), body)


def get_key(request: Request) -> Response:
    """Return the key that countersignatures are checked with."""
    return Json({"key": str(witness_key(platform_of(request)).public)})


def list_heads(request: Request) -> Response:
    """Return the newest heads of a run's sessions, countersigned."""
    platform = platform_of(request)
    with platform.store.read() as rows:
        notes = rows.witness.notes(f"{PROGRAM}/{request.path_params['run']}/")
    return Json({"key": str(witness_key(platform).public), "heads": notes})


routes = [
    Route("/api/proof/add-checkpoint", add_checkpoint, methods=["POST"]),
    Route("/api/proof/key", get_key, methods=["GET"]),
    Route("/api/proof/heads/{run}", list_heads, methods=["GET"]),
]


def witness_key(platform: Platform) -> WitnessKey:
    """Return the key of a platform, which is made on first use.

    Raises:
        NotHere: The extra `proof` is not installed.
    """
    if not ed25519.is_available():
        raise NotHere(f"This server countersigns nothing: {ed25519.ADVICE}")
    name, seed = read_or_create(platform.data / KEY_FILE, _made).split()
    key = WitnessKey(name, base64.b64decode(seed))
    _publish(platform.data / PUBLIC_FILE, key)
    return key


def _made() -> str:
    host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname()) or "host"
    return f"{host}/{PROGRAM} {base64.b64encode(ed25519.new_seed()).decode()}"


def _publish(file: Path, key: WitnessKey) -> None:
    if not file.exists():
        file.write_text(f"{key.public}\n", "ascii")


def _add(platform: Platform, body: bytes) -> Response:
    asked, key = witnessing.parse(body), witness_key(platform)
    with platform.store.write(durable=True) as rows:
        known = rows.witness.get(asked.origin)
        keys = witnessing.keys_of(rows.witness.announced_keys(asked.run), rows.witness.kept_heads(asked.run))
        try:
            head = witnessing.witness(asked, known, keys, key, int(platform.clock()))
        except OtherSizeError as error:
            return Response(f"{error.size}\n", status_code=409, headers={"Content-Type": "text/x.tlog.size"})
        rows.witness.put(head)
    return PlainTextResponse(f"{head.note.splitlines()[-1]}\n")
