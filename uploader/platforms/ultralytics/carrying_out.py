"""Carrying out what a person wants of a run's model.

PATCH /api/models/<owner>/<project>/<model>           description, licence; tags, as a part of its metadata
POST  /api/models/<owner>/<project>/<model>/exports   a conversion into another format, which the platform makes
GET   /api/models/<owner>/<project>/<model>/exports   whether one whose answer was lost had been ordered
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from threading import Lock
from typing import Any

from journal.kinds import CONVERSION, DATASET
from uploader.errors import Refused, Transient
from uploader.platforms.answers import brief, is_id, server_message
from uploader.platforms.base import TAGS, Message, Receipt, UploadProgress
from uploader.platforms.http.json_api import JsonApi
from uploader.platforms.ultralytics.dataset_upload import Datasets
from uploader.platforms.ultralytics.own_model import OwnModel, own_model
from uploader.platforms.uploads.upload import Storage

PATIENCE = 3
"""So many times what may be a web server's page says that there is no such path, before that is believed."""
_NO_SUCH_PATH = frozenset({404, 405})
_NOT_OFFERED = 501
_STILL_TRAINS = frozenset({"pending", "starting", "running"})
_OVER = frozenset({"failed", "cancelled"})


class Intents:
    """Carries out intents at one platform. Threads may share it."""

    def __init__(self, api: JsonApi, host: str, metadata: Lock, storage: Storage) -> None:
        """Prepare; nothing is sent yet.

        Args:
            api: The platform's endpoints.
            host: The platform, for messages.
            metadata: Held while a model's metadata is read and written.
            storage: Where files go.
        """
        self._datasets = Datasets(api, host, storage)
        self._api = api
        self._host = host
        self._metadata = metadata

    def carry_out(self, intent: Message, progress: UploadProgress) -> Receipt:
        """Do what is wanted.

        Raises:
            Refused: The platform has no such model, or does nothing of this kind.
            DeliveryError: It did not do it now.
        """
        wanted = json.loads(intent.data_json)
        with _as_refusal(self._host, intent.attempt):
            if intent.event == CONVERSION:
                return self._convert(intent, wanted)
            if intent.event == DATASET:
                return self._name_dataset(intent, self._datasets.upload(intent, wanted, progress))
            return self._edit(intent, wanted)

    def _model(self, intent: Message) -> OwnModel:
        found = own_model(self._api, intent.identity)
        if found is None:
            raise Refused(f"{self._host} shows no model of this run that could be changed", status=404)
        return found

    def _edit(self, intent: Message, wanted: Mapping[str, Any]) -> Receipt:
        if TAGS not in wanted:
            return self._patch(self._model(intent).path, wanted)
        with self._metadata:
            model = self._model(intent)
            return self._patch(model.path, {"metadata": {**model.metadata, **wanted}})

    def _name_dataset(self, intent: Message, uploaded: Receipt) -> Receipt:
        """Have the model name the dataset; its version stands in the metadata, as the API has no field for it."""
        with self._metadata:
            model = self._model(intent)
            metadata = {**model.metadata, DATASET: dict(uploaded.answer)}
            self._patch(model.path, {"datasetSlug": uploaded.answer[DATASET], "metadata": metadata})
        return uploaded

    def _patch(self, path: str, fields: Mapping[str, Any]) -> Receipt:
        answer = self._api.patch(path, json.dumps(fields))
        if answer.get("success") is not True:
            raise Transient(f"{self._host} did not say that it did so{server_message(answer)}", status=200)
        return Receipt({"success": True})

    def _convert(self, intent: Message, wanted: Mapping[str, Any]) -> Receipt:
        model = self._model(intent)
        if model.content.get("status") in _STILL_TRAINS:
            raise Transient(f"{self._host} says that the model is still trained: it is converted afterwards")
        path = f"{model.path}/exports"
        if intent.attempt > 1 and (ordered := self._ordered(path, intent, wanted)):
            return ordered
        return self._receipt(self._api.post(path, json.dumps(wanted), key=intent.chunk_id))

    def _ordered(self, path: str, intent: Message, wanted: Mapping[str, Any]) -> Receipt | None:
        """Return what an earlier attempt has ordered: a conversion with these arguments since it was wanted."""
        since = _time((intent.times or "").partition(" ")[0])
        listed = self._api.get(path).get("exports")
        for each in listed if isinstance(listed, list) else ():
            if not isinstance(each, dict) or _meaning(each) != _meaning(wanted) or each.get("status") in _OVER:
                continue
            made = _time(each.get("createdAt"))
            if since and made and made >= since:
                return self._receipt(each)
        return None

    def _receipt(self, answer: Mapping[str, Any]) -> Receipt:
        if not is_id(answer.get("id")):
            raise Transient(f"{self._host} named no conversion that it has begun{server_message(answer)}", status=200)
        return Receipt({"id": answer["id"], "format": brief(answer.get("format")), "status": brief(answer["status"])})


@contextmanager
def _as_refusal(host: str, attempt: int) -> Iterator[None]:
    """Take it for a refusal where a platform has no such path: asking again would never end."""
    try:
        yield
    except Transient as error:
        is_believed = error.status in _NO_SUCH_PATH and attempt >= PATIENCE
        if error.status == _NOT_OFFERED or is_believed:
            raise Refused(f"{host} does nothing of this kind: {error}", status=_NOT_OFFERED) from None
        raise


def _meaning(conversion: Mapping[str, Any]) -> tuple[object, object]:
    return conversion.get("format"), conversion.get("args") or {}


def _time(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo else None
