"""Bringing a dataset to the platform, from the file in which it is on this machine.

POST  /api/datasets                            makes it, unless there is one of that name
GET   /api/datasets/<owner>/<dataset>          what it has, and whether it is ready
POST  /api/upload/signed-url                   asks for a URL to PUT the file to
POST  /api/datasets/<owner>/<dataset>/ingest   takes it in, without what is there already
PATCH /api/datasets/<owner>/<dataset>          notes which file was taken in, as a part of its metadata
POST  /api/datasets/<owner>/<dataset>/export   makes a version of it, or names the one that is the same
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from uploader.errors import BlobUnusable, Forbidden, Refused, Transient
from uploader.platforms.answers import is_id, server_message
from uploader.platforms.base import Message, Receipt, Upload, UploadProgress
from uploader.platforms.http.json_api import JsonApi
from uploader.platforms.ultralytics.listed_items import NOTE, noted
from uploader.platforms.ultralytics.reconcile import places
from uploader.platforms.uploads.upload import Storage

DATASETS = "/api/datasets"
_POLL_SECONDS = 10.0
_TAKEN = 409
_CURE = "put it back as it was, then `retry`"


class Datasets:
    """Uploads datasets to one platform. Threads may share it."""

    def __init__(self, api: JsonApi, host: str, storage: Storage) -> None:
        """Prepare; nothing is sent yet.

        Args:
            api: The platform's endpoints.
            host: The platform, for messages.
            storage: Where files go.
        """
        self._api = api
        self._host = host
        self._storage = storage

    def upload(self, intent: Message, wanted: Mapping[str, Any], progress: UploadProgress) -> Receipt:
        """Have the platform have a dataset, with the file's content, and a version of it.

        Raises:
            Refused: It takes no such dataset.
            BlobUnusable: The file is not there any more, or is another one now.
            DeliveryError: It does not have it now.
        """
        path = self._made(intent, wanted)
        known = self._read(path)
        if wanted["sha256"] not in noted(known):
            self._ingest(path, known, intent, wanted, progress)
            known = self._read(path)
        self._require_ready(known)
        version = self._api.post(f"{path}/export", json.dumps({"download": False}), key=f"{intent.chunk_id}.version")
        if not isinstance(version.get("version"), int):
            raise Transient(f"{self._host} named no version of it{server_message(version)}", status=200)
        facts = {"owner": known["owner"], "dataset": known["dataset"], "version": version["version"]}
        return Receipt({**facts, "sha256": wanted["sha256"]})

    def _made(self, intent: Message, wanted: Mapping[str, Any]) -> str:
        """Make the dataset, unless there is one of its name; return where it is."""
        body = {name: wanted[name] for name in ("dataset", "name", "task") if name in wanted}
        try:
            answer = self._api.post(DATASETS, json.dumps(body), key=f"{intent.chunk_id}.make")
        except Refused as error:
            if isinstance(error, Forbidden) or error.status != _TAKEN:
                raise
            owner = next((owner for owner, _ in places(self._api, "any")), None)
            answer = {"owner": owner, "dataset": wanted["dataset"]}
        if not (is_id(answer.get("owner")) and is_id(answer.get("dataset"))):
            raise Transient(f"{self._host} did not say where the dataset is{server_message(answer)}", status=200)
        return f"{DATASETS}/{quote(str(answer['owner']), safe='')}/{quote(str(answer['dataset']), safe='')}"

    def _read(self, path: str) -> Mapping[str, Any]:
        found = self._api.get(path).get("dataset")
        if not isinstance(found, dict) or not is_id(found.get("id")):
            raise Transient(f"{self._host} shows nothing of the dataset", status=200)
        return found

    def _ingest(
        self, path: str, known: Mapping[str, Any], intent: Message, wanted: Mapping[str, Any], progress: UploadProgress
    ) -> None:
        upload = _upload(intent, wanted)
        try:
            location = self._storage.store(upload, partial(self._ask_location, known, upload), progress)
        except BlobUnusable as error:
            raise BlobUnusable(f"{wanted['path']} is not what it was: {error}; {_CURE}") from None
        body = {"sessionId": location["sessionId"], "conflictPolicy": "skip"}
        self._api.post(f"{path}/ingest", json.dumps(body))
        self._storage.forget(upload)
        metadata = {**_metadata(known), NOTE: {**noted(known), wanted["sha256"]: upload.filename}}
        self._api.patch(path, json.dumps({"metadata": metadata}))

    def _ask_location(self, known: Mapping[str, Any], upload: Upload) -> dict[str, Any]:
        asset = {"assetType": "datasets", "assetId": known["id"], "contentType": "application/octet-stream"}
        body = {**asset, "filename": upload.filename, "totalBytes": upload.size}
        location = self._api.post("/api/upload/signed-url", json.dumps(body))
        if not (isinstance(location.get("uploadUrl"), str) and is_id(location.get("sessionId"))):
            raise Transient(f"{self._host} named no URL to upload to{server_message(location)}", status=200)
        return location

    def _require_ready(self, known: Mapping[str, Any]) -> None:
        if known.get("status") == "failed":
            raise Refused(f"{self._host} could not take the dataset in{server_message(known)}", status=_TAKEN)
        if known.get("status") == "processing":
            raise Transient(f"{self._host} is taking the dataset in", retry_after=_POLL_SECONDS)


def _upload(intent: Message, wanted: Mapping[str, Any]) -> Upload:
    """Return what is to be sent.

    Raises:
        BlobUnusable: It is not there.
    """
    path = Path(wanted["path"])
    if not path.is_file():
        raise BlobUnusable(f"the dataset's file {path} is not there; {_CURE}")
    sent = (intent.chunk_id, path, wanted["size"], wanted["sha256"], wanted["filename"], intent.identity)
    return Upload(*sent, attempt=intent.attempt)


def _metadata(known: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = known.get("metadata")
    return metadata if isinstance(metadata, dict) else {}
