"""Client of the Ultralytics HUB API, as `ultralytics` 8.3.245 with `hub-sdk` 0.0.25 speaks it.

    POST /v1/auth                            whether the key is accepted
    POST /v1/models                          makes a model; answers with its id
    GET  /v1/models?limit=N                  the newest models
    GET  /v1/models/{id}                     a model's facts
    GET  /v1/models/{id}/metrics             metrics of its epochs, as far as they are told
    POST /v1/models/{id}                     metrics of any number of epochs
    POST /v1/models/{id}/upload              a checkpoint, as a form with the file in it
    POST /v1/agent/heartbeat/models/{id}     this machine is at work on the model

The key is sent as `x-api-key`. Upstream repeats a request only after 408, 502 and 504, and then drops it. Here those,
every other 5xx and 429 are `Transient`: only a positive answer completes a delivery.

HUB has no idempotency keys. When the answer to the creation of a model was lost, the next attempt reads the newest
models first: the run's uuid is in `meta`, and identifies the model that was created. The same is done for a resumed
training whose model the journal does not know, or HUB no longer has.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from journal.records import MODEL_ID, Known
from uploader.errors import DeliveryError, Forbidden, ReadRefused, Refused, Transient
from uploader.platforms.answers import brief, deleted, host_of, is_id, server_message
from uploader.platforms.base import Message, Receipt, RunIdentity, Upload, UploadProgress
from uploader.platforms.http.file_body import BlobReader
from uploader.platforms.http.json_api import JsonApi, checked_key
from uploader.platforms.http.list_lock import ListLock
from uploader.platforms.http.transport import Transport
from uploader.platforms.hub import COLAB_VARIABLES, HUB, RESUMED
from uploader.platforms.hub.items import TRAINED, shown
from uploader.platforms.older_copy import ahead
from uploader.platforms.reading_back import Shown
from uploader.platforms.uploads.multipart import FormReader

UPLOAD_SECONDS = 600.0
"""Longest wait for the answer to a file, which HUB may store elsewhere first."""
RUN = "uploaderRun"
"""Name of the run's uuid in a model's `meta`."""

_GONE = frozenset({200, 404})
"""Statuses of answers that a model is not there: HUB also answers with empty data."""
_UNTOLD = frozenset({200, 404, 405})
"""Statuses of answers in another form, or of pages for a path that does not exist."""
_NEWEST = 50
"""How many models are read: the one that is looked for was created a moment ago."""
_LONGEST_LIST = 16 * 1024 * 1024  # bytes


def connect(base_url: str, key: str, transport: Transport, options: Mapping[str, str]) -> HubPlatform:
    """Return a client, as the spec promises; nothing is sent yet."""
    is_colab = any(name in options for name in COLAB_VARIABLES)
    return HubPlatform(base_url, key, transport, kind_of_machine="colab" if is_colab else "local")


class HubPlatform:
    """One destination: a HUB API's base URL and its key. Threads may share it.

    Attributes:
        heartbeat_seconds: How often HUB expects to hear that a training is alive.
    """

    name = HUB.name
    heartbeat_seconds = 300.0

    def __init__(
        self,
        base_url: str,
        api_key: str | None,
        transport: Transport,
        *,
        kind_of_machine: str = "local",
        upload_seconds: float = UPLOAD_SECONDS,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            base_url: Without a trailing slash.
            api_key: The key; None to read what is public.
            transport: The connections; closed by `close`.
            kind_of_machine: `colab` in a Colab notebook, else `local`; part of the agent's name.
            upload_seconds: Longest wait for an answer after the last byte of a file.

        Raises:
            CredentialsRefused: The key cannot be one.
        """
        credentials = {} if api_key is None else {"x-api-key": checked_key(api_key)}
        self._api = JsonApi(base_url, credentials, transport)
        self._transport = transport
        self._host = host_of(base_url)
        self._upload_seconds = upload_seconds
        self._lists = ListLock()
        self._agent = f"python-{platform.python_version()}-{kind_of_machine}"

    def close(self) -> None:
        """Close idle connections."""
        self._transport.close()

    def authenticate(self) -> None:
        """Check the key.

        Raises:
            DeliveryError: It is not accepted, or nobody answers.
        """
        self._confirmed(self._api.post("/v1/auth", ""))

    def model(self, model_id: str) -> dict[str, Any]:
        """Return a model's facts.

        Raises:
            DeliveryError: There is no such model for this key, or nobody answers.
        """
        data = self._confirmed(self._api.get(_path(model_id))).get("data")
        if not isinstance(data, dict) or not data:
            raise Refused(f"{self._host} has no such model", status=200)
        return data

    def register(self, message: Message) -> Receipt:
        """Create a model, unless the run has one: it was resumed, began from a model's URL, or was registered before.

        The model of a resumed training whose journal was lost is looked up. One that has been deleted takes no more
        sessions; the run then continues as a new model.
        """
        request = json.loads(message.data_json)
        is_resumed = bool(request.pop(RESUMED, False))
        if MODEL_ID in request:  # a model that existed before the run, which cannot be created again
            known = message.identity.ids.get(MODEL_ID, request[MODEL_ID])
        else:
            known = self._own(message, is_resumed=is_resumed)
        if known is not None:
            return Receipt({}, {MODEL_ID: known})
        # A different request from the one that created the first model: under that key, its answer would be repeated.
        key = f"{message.chunk_id}.new" if MODEL_ID in message.identity.ids else message.chunk_id
        body = json.dumps(request) if is_resumed else message.data_json
        answer = self._confirmed(self._api.post("/v1/models", body, key=key, times=message.times))
        data = answer.get("data")
        if not isinstance(data, dict) or not is_id(data.get("id")):
            missing = f"{self._host} answered without the id of the model that was to be made"
            raise Transient(f"{missing}{server_message(answer)}", status=200)
        return Receipt({MODEL_ID: data["id"]}, {MODEL_ID: data["id"]}, is_new=True)

    def ahead(self, identity: RunIdentity, known: Known) -> str | None:
        """Describe what HUB has of a run that a journal does not: a later epoch, or the end. It knows no sessions."""
        with self._lists.locked():
            model_id = identity.ids.get(MODEL_ID) or self._made_for(identity.run_uuid)
            if model_id is None:
                return None
            model, metrics = self._data_at(_path(model_id)), self._data_at(f"{_path(model_id)}/metrics")
        is_over = isinstance(model, dict) and model.get("status") == TRAINED
        return ahead({"status": "completed" if is_over else None, "trainResults": metrics}, known)

    def read_back(self, identity: RunIdentity) -> Shown:
        """Return what HUB shows of a run.

        Raises:
            DeliveryError: It could not be read now, or not with this key.
        """
        with self._lists.locked():
            model_id = identity.ids.get(MODEL_ID) or self._made_for(identity.run_uuid)
        gone = Shown(absence=f"{self._host} has no model of this run")
        if model_id is None:
            return gone
        try:
            model = self.model(str(model_id))
        except Forbidden:
            raise
        except Refused as error:
            if error.status in _GONE:
                return gone
            raise
        return shown(model, self._data_at(f"{_path(model_id)}/metrics"))

    def download(self, weights: object, size: int, write: Callable[[bytes], object]) -> None:
        """Read a checkpoint back, block by block.

        Raises:
            DeliveryError: It is not to be had now.
        """
        if not isinstance(weights, str) or not weights.startswith(("https://", "http://")):
            raise Refused(f"{self._host} offers no such file to download", status=404)
        self._transport.stream(weights, write)

    def _data_at(self, path: str) -> Any:
        """Return the data at a path; None if HUB has no such thing, or does not show it."""
        try:
            return self._confirmed(self._api.get(path)).get("data")
        except (Refused, ReadRefused):
            return None
        except Transient as error:
            if error.status in _UNTOLD:  # another attempt would get the same answer
                return None
            raise

    def _own(self, message: Message, *, is_resumed: bool) -> object:
        """Return the id of the run's model; None if it has none, or no longer has it."""
        known = message.identity.ids.get(MODEL_ID)
        if known is not None and self._is_there(known):
            return known
        if known is None and message.attempt == 1 and not is_resumed:
            return None
        with self._lists.locked():
            return self._made_for(message.identity.run_uuid)

    def _is_there(self, model_id: object) -> bool:
        try:
            self._api.get(_path(model_id))
        except ReadRefused:  # a key that may not read
            return True
        except Refused as error:
            return error.status != 404  # a server that shows no models
        return True

    def send(self, message: Message) -> Receipt:
        """Send metrics; the message's data is the request."""
        try:
            path = _path(_model_of(message.identity))
            answer = self._api.post(path, message.data_json, key=message.chunk_id, times=message.times)
        except Refused as error:
            raise _about_model(error) from None
        return self._received(answer)

    def upload(self, upload: Upload, progress: UploadProgress) -> Receipt:
        """Send a checkpoint, with its form fields."""
        path = f"{_path(_model_of(upload.identity))}/upload"
        with BlobReader(upload.content, upload.size, upload.sha256, progress) as file:
            form = FormReader(upload.form, upload.filename, file)
            try:
                answer = self._api.post_body(
                    path,
                    form,
                    form.content_type,
                    key=upload.chunk_id,
                    times=upload.times,
                    answer_seconds=self._upload_seconds,
                )
            except Refused as error:
                raise _about_model(error) from None
        receipt = self._received(answer)
        return Receipt({**receipt.answer, "sha256": upload.sha256})

    def heartbeat(self, identity: RunIdentity, agent_id: Any) -> Any:
        """Report that a run's training is alive.

        Args:
            identity: The run.
            agent_id: HUB's name for this machine from the last heartbeat; None at the first.

        Returns:
            HUB's name for it from now on.

        Raises:
            DeliveryError: HUB did not confirm it.
        """
        body = json.dumps({"agent": self._agent, "agentId": agent_id})
        answer = self._api.post(f"/v1/agent/heartbeat{_path(_model_of(identity), version='')}", body)
        data = self._confirmed(answer).get("data")
        return data.get("agentId") if isinstance(data, dict) else None

    def _made_for(self, run_uuid: str) -> object:
        """Return the id of the model that an earlier attempt created for a run, else None.

        Raises:
            DeliveryError: This cannot be determined now.
        """
        try:
            data = self._confirmed(self._api.newest("/v1/models", _NEWEST, _LONGEST_LIST)).get("data")
        except Forbidden:  # it may exist all the same
            raise
        except Refused:
            return None  # a server that lists no models
        models = data.get("results") if isinstance(data, dict) else data
        if not isinstance(models, list):
            raise Transient(f"{self._host} answered without its models{server_message(data or {})}", status=200)
        return next((each["id"] for each in models if _is_of(each, run_uuid)), None)

    def _received(self, answer: Mapping[str, Any]) -> Receipt:
        confirmed = self._confirmed(answer)
        return Receipt({name: brief(confirmed[name]) for name in ("success", "message") if name in confirmed})

    def _confirmed(self, answer: dict[str, Any] | Mapping[str, Any]) -> Mapping[str, Any]:
        """Return an answer in HUB's form, `{"success": true, "message": …, "data": …}`, some parts may be absent."""
        if answer.get("success") is True or ("success" not in answer and "data" in answer):
            return answer
        raise Transient(f"{self._host} answered without saying that it succeeded{server_message(answer)}", status=200)


def _path(model_id: object, version: str = "/v1") -> str:
    return f"{version}/models/{quote(str(model_id), safe='')}"


def _model_of(identity: RunIdentity) -> object:
    return identity.ids[MODEL_ID]


def _is_of(model: Any, run_uuid: str) -> bool:
    """Return whether a listed model was created for a run."""
    meta = model.get("meta") if isinstance(model, dict) else None
    return isinstance(meta, dict) and meta.get(RUN) == run_uuid and is_id(model.get("id"))


def _about_model(error: Refused) -> DeliveryError:
    """Distinguish a deleted model from any other refusal."""
    if error.status == 404:
        return deleted(error)
    return error
