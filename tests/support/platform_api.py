"""A minimal client of the platform's API that sends exactly what a test says."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import requests

EVENTS = "/api/webhooks/training/metrics"
UPLOAD = "/api/webhooks/models/upload"


@dataclass(frozen=True)
class Api:
    """Requests to one server, with one key."""

    url: str
    key: str

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send a request with the key."""
        headers = {"Authorization": f"Bearer {self.key}", **options.pop("headers", {})}
        return requests.request(
            method, self.url + path, headers=headers, timeout=100, **{"allow_redirects": False, **options}
        )

    def post(self, path: str, body: Any, key: str | None = None) -> requests.Response:
        """POST a JSON body, under an idempotency key if one is given."""
        return self.request("POST", path, json=body, headers={} if key is None else {"Idempotency-Key": key})

    def get(self, path: str) -> Any:
        """GET a JSON value that must exist."""
        response = self.request("GET", path)
        assert response.status_code == 200, response.text
        return response.json()

    def event(self, event: str, data: dict[str, Any], *, key: str | None = None, **target: str) -> dict[str, Any]:
        """Send a training event that must be accepted, and return the answer."""
        response = self.post(EVENTS, {"event": event, "data": data, **target}, key)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def start(self, name: str = "train", **data: Any) -> dict[str, Any]:
        """Register a training in the project `demo`."""
        return self.event("training_started", data, project="demo", name=name)

    def model(self, name: str = "train", project: str = "demo", owner: str = "local") -> dict[str, Any]:
        """Read a model back."""
        model: dict[str, Any] = self.get(f"/api/models/{owner}/{project}/{name}")["model"]
        return model

    def shown(self, key: str = "local/demo/train", since: str | None = None) -> dict[str, Any]:
        """Read what a run's page tells."""
        asked = {"key": key, **({} if since is None else {"since": since})}
        response = self.request("GET", "/data/run", params=asked)
        assert response.status_code == 200, response.text
        shown: dict[str, Any] = response.json()
        return shown

    def facts(self, key: str = "local/demo/train") -> dict[str, Any]:
        """Read the facts of a run's page, by their labels; of those of one label the last one."""
        return {each["label"]: each["value"] for each in self.shown(key)["facts"]["facts"]}

    def listed(self, key: str = "local/demo/train") -> dict[str, Any]:
        """Read a run's line in the list of runs."""
        fields = self.get("/data/runs")["fields"]
        place = fields["key"].index(key)
        return {name: column[place] for name, column in fields.items()}

    def prepare(self, filename: str = "best.pt", **target: Any) -> dict[str, Any]:
        """Request an upload URL, which must be granted."""
        response = self.post(UPLOAD, {"filename": filename, **target})
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def checkpoint(self, content: bytes, run: dict[str, Any], filename: str = "best.pt") -> dict[str, Any]:
        """Upload and promote a checkpoint the way the platform's client does; return the upload's answer."""
        upload = self.prepare(filename, modelId=run["modelId"], runId=run["runId"])
        assert put(upload["uploadUrl"], content).status_code == 200
        saved = {"runId": run["runId"], "modelPath": upload["gcsPath"], "uploadPath": upload["uploadPath"]}
        self.event("checkpoint_saved", saved, modelId=run["modelId"])
        return upload


def put(url: str, content: bytes) -> requests.Response:
    """PUT bytes to a storage URL, without the key."""
    return requests.put(url, data=content, headers={"Content-Type": "application/octet-stream"}, timeout=100)


def sha256(content: bytes) -> str:
    """Hex digest."""
    return hashlib.sha256(content).hexdigest()
