"""`ul://` addresses, as upstream resolves them now and as it did before its SDK."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import requests
from support.platform_api import Api

from uploader.server.running import RunningServer, running

RESOLVE = """
import json, sys
from ultralytics.utils.checks import resolve_platform_uri

outcomes = []
for uri in json.loads(sys.argv[1]):
    try:
        outcomes.append(["url", resolve_platform_uri(uri)])
    except Exception as error:
        outcomes.append([type(error).__name__, str(error)])
print(json.dumps(outcomes))
"""


def add_dataset(data: Path, owner: str, slug: str, *markers: str) -> None:
    folder = data / "datasets" / owner
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{slug}.ndjson").write_text('{"type": "dataset"}\n')
    for marker in markers:
        (folder / f"{slug}.{marker}").touch()


def resolve(url: str, key: str, config: Path, uris: list[str]) -> list[list[str]]:
    """Resolve in a separate process, because upstream reads the address of its server when it is imported."""
    environment = {
        **os.environ,
        "ULTRALYTICS_PLATFORM_URL": url,
        "ULTRALYTICS_API_KEY": key,
        "YOLO_CONFIG_DIR": str(config),
    }
    command = [sys.executable, "-c", RESOLVE, json.dumps(uris)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    outcomes: list[list[str]] = json.loads(done.stdout.splitlines()[-1])
    return outcomes


@pytest.mark.skipif(find_spec("ultralytics") is None, reason="ultralytics is not installed")
@pytest.mark.skipif(sys.version_info < (3, 11), reason="upstream's client needs Python 3.11")
def test_upstream_resolves_datasets_and_models(tmp_path: Path) -> None:
    with running(tmp_path / "platform", api_key="k") as server:
        api = Api(server.url, "k")
        api.checkpoint(b"weights", api.start())
        api.start("empty")
        add_dataset(server.data, "local", "boxes")
        add_dataset(server.data, "local", "slow", "processing")
        add_dataset(server.data, "other", "secret", "private")
        uris = [
            "ul://local/datasets/boxes",
            "ul://local/demo/train",
            "ul://local/datasets/unknown",
            "ul://local/demo/empty",
            "ul://local/demo/unknown",
            "ul://local/datasets/slow",
            "ul://other/datasets/secret",
        ]
        dataset, model, *failures = resolve(server.url, "k", tmp_path, uris)
        assert requests.get(dataset[1], timeout=100).text == '{"type": "dataset"}\n'
        assert requests.get(model[1], timeout=100).content == b"weights"
        missing = ["FileNotFoundError"] * 3
        assert [kind for kind, _ in failures] == [*missing, "RuntimeError", "PermissionError"]
        ((refused, _),) = resolve(server.url, "wrong", tmp_path, uris[:1])
        assert refused == "ValueError"


@pytest.mark.parametrize("prefix", ["/api/v1", "/api/webhooks"])
def test_older_clients_follow_a_redirect(server: RunningServer, api: Api, prefix: str) -> None:
    api.checkpoint(b"weights", api.start())
    add_dataset(server.data, "local", "boxes")
    add_dataset(server.data, "local", "slow", "processing")
    add_dataset(server.data, "other", "secret", "private")
    found = {"datasets/local/boxes/export": b'{"type": "dataset"}\n', "models/local/demo/train/download": b"weights"}
    for path, content in found.items():
        answer = api.request("HEAD", f"{prefix}/{path}")
        assert answer.status_code == 302
        assert requests.get(answer.headers["Location"], timeout=100).content == content
    refused = {"datasets/local/slow/export": 409, "datasets/other/secret/export": 403, "models/a/b/c/download": 404}
    for path, status in refused.items():
        assert api.request("HEAD", f"{prefix}/{path}").status_code == status
    assert requests.head(f"{server.url}{prefix}/datasets/local/boxes/export", timeout=100).status_code == 401
