"""Client of the Ultralytics Platform's webhooks, as its own client 8.4.190 speaks them.

    POST /api/webhooks/training/metrics   every event; `training_started` registers and answers with ids
    POST /api/webhooks/models/upload      asks for a URL to PUT a checkpoint to
    PUT  <signed URL>                     the bytes, without credentials; in chunks where that is offered (`upload.py`)
    GET  /api/models/<owner>/<project>    whether a registration whose answer was lost had arrived
    GET  /api/models/…/<model>[/files]    what has arrived of a run, to be compared with the journal
    PATCH /api/models/…                   the head of the run, as a part of the model's metadata (`run_heads.py`), and
                                          what a person wants of the model (`intents.py`)

A server of late 2025 gives no ids. There every request names project and run instead, and a checkpoint needs no
`checkpoint_saved` afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any

from journal.kinds import COMPLETE, FAILED, MEDIA
from journal.records import Known
from uploader.errors import Refused, Transient
from uploader.platforms.answers import brief, host_of, is_id, server_message
from uploader.platforms.base import (
    GrownHead,
    KeptHeads,
    Message,
    Receipt,
    RunIdentity,
    Upload,
    UploadProgress,
)
from uploader.platforms.http.json_api import JsonApi, bearer
from uploader.platforms.http.list_lock import ListLock
from uploader.platforms.http.transport import Transport
from uploader.platforms.older_copy import ahead
from uploader.platforms.reading_back import Place, Shown
from uploader.platforms.ultralytics import ULTRALYTICS
from uploader.platforms.ultralytics.events import SUMMARY, Events, about, is_shown, kept, own_key, reference, signals_of
from uploader.platforms.ultralytics.items import replaced
from uploader.platforms.ultralytics.reading_back import ModelReader
from uploader.platforms.ultralytics.reconcile import find_model
from uploader.platforms.ultralytics.registration import CONFLICT, GONE_ON, OLDER, Registrations
from uploader.platforms.ultralytics.salvaged_epochs import IS_THERE, SalvagedEpochs
from uploader.platforms.uploads.upload import MANY_ATTEMPTS, Storage

if TYPE_CHECKING:
    from uploader.platforms.ultralytics.run_heads import RunHeads

UPLOAD = "/api/webhooks/models/upload"

_NOT_SHOWN = "this platform shows no images and plots of a loop"
_ENDS = frozenset({COMPLETE, FAILED})
_WITHOUT_FILE = "all else of the run is sent without it. Have that put right there, then `retry`"


class _UploadLost(Transient):
    """The platform no longer knows an upload, or does not accept it as it is; a new upload may succeed."""


def connect(base_url: str, key: str, transport: Transport, options: Mapping[str, str]) -> UltralyticsPlatform:
    """Return a client, as the spec promises; nothing is sent yet."""
    return UltralyticsPlatform(base_url, key, transport)


class UltralyticsPlatform:
    """One destination: a base URL and its key. Threads may share it."""

    name = ULTRALYTICS.name

    def __init__(self, base_url: str, api_key: str, transport: Transport) -> None:
        """Prepare; nothing is sent yet.

        Args:
            base_url: Without a trailing slash.
            api_key: The bearer token.
            transport: The connections; closed by `close`.

        Raises:
            CredentialsRefused: The token cannot be one.
        """
        self._api = JsonApi(base_url, bearer(api_key), transport)
        self._transport = transport
        self._host = host_of(base_url)
        self._storage = Storage(transport, self._host)
        self._lists = ListLock()
        self._events = Events(self._api, self._host)
        self._registrations = Registrations(self._api, self._events, self._host, self._lists)
        self._salvaged_epochs = SalvagedEpochs(self._api, self._lists)
        self._reader = ModelReader(self._api, transport, self._host)
        self._metadata = Lock()
        self._run_heads: RunHeads | None = None

    def close(self) -> None:
        """Close idle connections."""
        self._transport.close()

    def register(self, message: Message) -> Receipt:
        """Announce a session; see `Registrations.register`."""
        return self._registrations.register(message)

    def ahead(self, identity: RunIdentity, known: Known) -> str | None:
        """Return what the platform has of a run that a journal does not; see `older_copy.ahead`."""
        with self._lists.locked():
            model = find_model(self._api, identity)
        return ahead(model, known) if model else None

    def read_back(self, identity: RunIdentity) -> Shown:
        """Return what the platform shows of a run; see `ModelReader.read_back`."""
        shown = self._reader.read_back(identity)
        return replaced(shown, GONE_ON) if identity.ids.get(OLDER) and shown.absence is None else shown

    def read_lists(self, identity: RunIdentity, shown: Shown, places: Collection[Place]) -> Shown:
        """Return what is shown with what is listed beside the model; see `ListReader.read`."""
        from uploader.platforms.ultralytics.list_reading import NO_MEDIA, ListReader  # few runs have such

        if not is_shown(identity, MEDIA):
            shown = replace(shown, untold={"media": NO_MEDIA, **shown.untold})
        return ListReader(self._api, identity, str(shown.lists)).read(shown, places) if shown.lists else shown

    def download(self, weights: object, size: int, write: Callable[[bytes], object]) -> None:
        """Read a checkpoint back, block by block; see `ModelReader.download`."""
        self._reader.download(weights, size, write)

    def keep_heads(self, identity: RunIdentity, head: str, sessions: Sequence[GrownHead]) -> KeptHeads:
        """Have the platform keep a run's head, and countersign those of its sessions; see `RunHeads.keep`."""
        from uploader.platforms.ultralytics.run_heads import RunHeads  # most drains end no training

        self._run_heads = self._run_heads or RunHeads(self._api, self._host, self._metadata)
        return self._run_heads.keep(identity, head, sessions)

    def carry_out(self, intent: Message, progress: UploadProgress) -> Receipt:
        """Do what a person wants of a run's model; see `Intents.carry_out`."""
        from uploader.platforms.ultralytics.carrying_out import Intents  # few drains carry out any

        return Intents(self._api, self._host, self._metadata, self._storage).carry_out(intent, progress)

    def send(self, message: Message) -> Receipt:
        """Send any other event.

        Except the end of a session that others have followed, as it is not the model's end, an epoch of which the model
        has more, and what the platform does not show.
        """
        if message.event in _ENDS and message.identity.ids.get(OLDER):
            return Receipt({"received": True, "ignored": GONE_ON})
        if self._salvaged_epochs.is_there(message):
            return Receipt({"received": True, "ignored": IS_THERE})
        if message.event == MEDIA and not is_shown(message.identity, MEDIA):
            return Receipt({"received": True, "ignored": _NOT_SHOWN})
        data = message.data_json
        if message.event == COMPLETE:
            data = json.dumps(_with_model_file(_shown(json.loads(data), message.identity), message.identity.ids))
            # What is added may differ between attempts, when a checkpoint arrived or was evicted meanwhile. Then the
            # request differs and needs its own key. The platform keeps one completion per model.
            message = replace(message, chunk_id=own_key(message.chunk_id, data))
        answer = self._events.send(message, data)
        return Receipt(kept(answer), signals=signals_of(answer))

    def upload(self, upload: Upload, progress: UploadProgress) -> Receipt:
        """Send a checkpoint's bytes to the storage and have the platform accept them.

        Raises:
            Refused: The platform accepted none of many uploads to locations that it gave.
            DeliveryError: It did not accept this one.
        """
        if upload.identity.ids.get(OLDER) and "runId" not in upload.identity.ids:
            raise Refused(
                f"{GONE_ON}, whose weights these older ones would replace; they stay in the journal", status=CONFLICT
            )
        try:
            return self._upload(upload, progress)
        except _UploadLost:
            if upload.attempt < MANY_ATTEMPTS:
                raise
        try:
            return self._upload(upload, progress)
        except _UploadLost as error:
            why = f"the platform takes up no upload that it has given a place for: {error}"
            raise Refused(f"{why}; {_WITHOUT_FILE}", status=error.status or CONFLICT) from None

    def _upload(self, upload: Upload, progress: UploadProgress) -> Receipt:
        location = self._storage.store(upload, partial(self._ask_location, upload), progress)
        path = location.get("gcsPath")
        ids = {"modelPath": path if is_id(path) else None, "modelSize": upload.size}
        answer = self._promote(upload, location) if _is_promoted(upload.identity, location) else {}
        self._storage.forget(upload)
        stored = {**kept(answer), **ids, "uploadPath": brief(location.get("uploadPath")), "sha256": upload.sha256}
        return Receipt(stored, ids, signals_of(answer))

    def _ask_location(self, upload: Upload) -> dict[str, Any]:
        # Without an idempotency key: a repeated answer could hold an expired URL.
        request = {
            "filename": upload.filename,
            **reference(upload.identity),
            "size": upload.size,
            "sha256": upload.sha256,
        }
        if (run_id := upload.identity.ids.get("runId")) is not None:
            request["runId"] = run_id
        try:
            location = self._api.post(UPLOAD, json.dumps(request), order=upload.order, times=upload.times)
        except Refused as error:
            raise about(upload.identity, error) from None
        if not isinstance(location.get("uploadUrl"), str):
            raise Transient(f"{self._host} named no URL to upload to{server_message(location)}", status=200)
        return location

    def _promote(self, upload: Upload, location: Mapping[str, Any]) -> dict[str, Any]:
        data = {
            "modelPath": location["gcsPath"],
            "runId": upload.identity.ids["runId"],
            "uploadPath": location.get("uploadPath"),
        }
        body = json.dumps({"event": "checkpoint_saved", **reference(upload.identity), "data": data})
        try:
            return self._events.post(body, _promotion_key(upload, location), upload.order, upload.times)
        except Refused as error:
            self._storage.forget(upload)
            if error.status in {404, 409}:  # the model was found a moment ago
                raise _UploadLost(str(error), status=error.status) from None
            raise


def _shown(data: dict[str, Any], identity: RunIdentity) -> dict[str, Any]:
    """Return a completion without what the platform does not show."""
    results = data.get("results")
    if not isinstance(results, dict) or is_shown(identity, SUMMARY):
        return data
    return {**data, "results": {name: value for name, value in results.items() if name != SUMMARY}}


def _with_model_file(data: dict[str, Any], ids: Mapping[str, Any]) -> dict[str, Any]:
    """Add to `training_complete` what only earlier deliveries could learn."""
    file = {name: ids[name] for name in ("modelPath", "modelSize") if ids.get(name) is not None}
    run = {"runId": ids["runId"]} if "runId" in ids else {}
    return {**data, "results": {**(data.get("results") or {}), **file}, **run}


def _is_promoted(identity: RunIdentity, location: Mapping[str, Any]) -> bool:
    return "runId" in identity.ids and bool(location.get("gcsPath"))


def _promotion_key(upload: Upload, location: Mapping[str, Any]) -> str:
    # Each attempt stores the file in a location of its own, so its request differs and needs its own key.
    return own_key(upload.chunk_id, str(location.get("uploadPath")))
