"""The local platform as a tus server, for clients that this project did not write."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import pytest
from support.node import Node
from support.platform_api import EVENTS, Api
from support.tus_api import offset
from tusclient import client as tusclient

from uploader.server.running import running

KEY = "ul_test_key"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "best.pt"
    path.write_bytes(os.urandom(5_000_003))
    return path


class Uploads:
    """The uploads of one checkpoint of one training."""

    def __init__(self, server_url: str, weights: Path) -> None:
        self.api = Api(server_url, KEY)
        self.size, self.sha256 = weights.stat().st_size, hashlib.sha256(weights.read_bytes()).hexdigest()
        self.run = self.api.start()

    def ticket(self) -> dict[str, Any]:
        """Ask for an upload."""
        said = {"size": self.size, "sha256": self.sha256}
        return self.api.prepare(modelId=self.run["modelId"], runId=self.run["runId"], **said)

    def promoted(self, ticket: dict[str, Any]) -> Any:
        """Announce that the upload is done, and return which file the model has then."""
        data = {"runId": self.run["runId"], "uploadPath": ticket["uploadPath"]}
        said = {"event": "checkpoint_saved", "data": data, "modelId": self.run["modelId"]}
        assert self.api.post(EVENTS, said).status_code == 200
        return self.api.model()["file"]

    @property
    def whole(self) -> dict[str, Any]:
        """The file as the platform must describe it."""
        return {"size": self.size, "sha256": self.sha256, "name": "best.pt"}


@pytest.mark.parametrize("upload_checksum", [False, True])
def test_tuspy_goes_on_after_an_interruption(tmp_path: Path, weights: Path, upload_checksum: bool) -> None:
    content = io.BytesIO(weights.read_bytes())  # tuspy leaves a file that it opens itself open
    how = {
        "file_stream": content,
        "chunk_size": 1_000_000,
        "metadata": {"filename": "best.pt"},
        "upload_checksum": upload_checksum,
    }
    with running(tmp_path / "platform", api_key=KEY) as server:
        uploads = Uploads(server.url, weights)
        first = tusclient.TusClient(uploads.ticket()["tus"]["create"]).uploader(**how)
        first.upload(stop_at=2_000_000)
    with running(tmp_path / "platform", api_key=KEY) as restarted:
        uploads.api = Api(restarted.url, KEY)
        ticket = uploads.ticket()
        url = ticket["tus"]["resume"]
        second = tusclient.TusClient(ticket["tus"]["create"]).uploader(url=url, **how)
        assert second.offset == 2_000_000
        second.upload()
        assert uploads.promoted(ticket) == uploads.whole


def test_tus_js_client_goes_on_after_it_ended(tmp_path: Path, weights: Path, node: Node) -> None:
    with running(tmp_path / "platform", api_key=KEY) as server:
        uploads = Uploads(server.url, weights)
        create = uploads.ticket()["tus"]["create"]
        with node.start("upload.mjs", weights, create, "", uploads.sha256, 2_000_000) as first:
            assert first.wait(60) == 3, first.stdout and first.stdout.read()
        ticket = uploads.ticket()
        url = ticket["tus"]["resume"]
        assert offset(url) >= 2_000_000
        with node.start("upload.mjs", weights, ticket["tus"]["create"], url, uploads.sha256, 0) as second:
            assert second.stdout is not None
            accepted = second.stdout.read().split()
            assert second.wait(60) == 0, accepted
        assert int(accepted[0]) > 2_000_000
        assert uploads.promoted(ticket) == uploads.whole
