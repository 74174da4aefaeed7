"""Client of the Ultralytics Platform's webhooks, as its own client 8.4.190 speaks them.

    POST /api/webhooks/training/metrics   every event; `training_started` registers and answers with ids
    POST /api/webhooks/models/upload      asks for a URL to PUT a checkpoint to
    PUT  <signed URL>                     the bytes, without credentials; in chunks where that is offered (`upload.py`)
    GET  /api/models/<owner>/<project>    whether a registration whose answer was lost had arrived

A server of late 2025 gives no ids. There every request names project and run instead, and a checkpoint needs no
`checkpoint_saved` afterwards.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

from uploader.errors import DeliveryError, Forbidden, Refused, RunGone, Transient
from uploader.platforms.answers import brief, deleted, host_of, is_id, said, words
from uploader.platforms.base import NOT_RESUMED, Identity, Known, Message, Progress, Receipt, Upload
from uploader.platforms.http.json_api import JsonApi, bearer
from uploader.platforms.http.one_at_a_time import Turns
from uploader.platforms.http.transport import Transport
from uploader.platforms.older_copy import ahead
from uploader.platforms.session_lineage import Session, is_apart
from uploader.platforms.ultralytics.reconcile import find_model, find_registration, find_session, newest_session
from uploader.platforms.uploads.upload import MANY_ATTEMPTS, Storage

_OLDER = "isOlder"
"""An id of ours: the model has gone on with what a run's newest session here has led to."""
_NOTHING_UPLOADED = {"modelPath": None, "modelSize": None}
"""Ids of a model that takes another one's place: what they were is the other one's."""
_LOG = logging.getLogger("uploader")

CONFLICT = 409
METRICS = "/api/webhooks/training/metrics"
UPLOAD = "/api/webhooks/models/upload"

REGISTRATION = "training_started"
_ENDS = frozenset({"training_complete", "training_failed"})
_OWN_IDS = ("modelId", "runId")
_IDS = ("modelId", "runId", "modelSlug", "modelUrl")
_SAID = ("received", "event", "mode", "cancelled", "action", "reason", "warning", "ignored")

# What a message holds of the run is frozen, but for the project where it named none: that is the drain's.
_NAMED_OTHERWISE = (
    "the run was registered before under another project or name: set UPLOADER_PROJECT to that project, then `retry`"
)
_NOT_ALLOWED = (
    "this key may not write to the project '{}': get access to it, or send the run to another project (`route`), then "
    "`retry`"
)
_GONE_ON = "the model has gone on with a later session of the run"
_WITHOUT_FILE = "all else of the run is sent without it. Have that put right there, then `retry`"


class _UploadLost(Transient):
    """The platform does not know an upload any more, or does not take it up as it is; another one may do."""


class UltralyticsPlatform:
    """One destination: a base URL and its key. Threads may share it."""

    name = "ultralytics"

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
        self._lists = Turns()

    def close(self) -> None:
        """Close idle connections."""
        self._transport.close()

    def register(self, message: Message) -> Receipt:
        """Send `training_started`: under the known model if there is one, else as a new model.

        When an earlier attempt may have arrived, that is looked up first; so is the model of a resumed training whose
        journal was lost. A model that was deleted or cancelled meanwhile takes no more sessions; the run then goes on
        as a new one.
        """
        receipt = self._go_on(message) or self._begin(message)
        is_newest = {_OLDER: None} if _OLDER in message.identity.ids else {}
        return replace(receipt, ids={**is_newest, **(receipt.ids or {})})

    def ahead(self, identity: Identity, known: Known) -> str | None:
        """Return what the platform has of a run that a journal does not; see `older_copy.ahead`."""
        with self._lists.turn():
            model = find_model(self._api, identity)
        return ahead(model, known) if model else None

    def _go_on(self, message: Message) -> Receipt | None:
        """Register under the model that upstream's streaming has made, if it did and if that still takes sessions."""
        model_id = _streamed(message)
        if model_id is None:
            return None
        if (earlier := self._arrived(message)) is not None:
            return earlier
        named = replace(message.identity, ids={"modelId": model_id})
        known = replace(message, identity=named, chunk_id=_own_key(message.chunk_id, model_id))
        if (apart := self._kept_apart(known)) is not None:
            return apart
        try:
            answer = self._event(known, known.data_json)
        except RunGone:  # it was deleted, or is another platform's
            return None
        return None if answer.get("cancelled") else self._registered(answer, named, {"modelId": model_id})

    def _begin(self, message: Message) -> Receipt:
        found = self._forgotten(message)
        message = replace(message, identity=replace(message.identity, ids={**message.identity.ids, **found}))
        if "modelId" in message.identity.ids:
            # Another request than the one that made the model; a journal that was made anew gives both the same id.
            own = _own_key(message.chunk_id, json.dumps(_reference(message.identity)))
            message = replace(message, chunk_id=own)
        try:
            if (apart := self._kept_apart(message)) is not None:
                return apart
            if (earlier := self._arrived(message)) is not None:
                return earlier
            answer = self._event(message, message.data_json)
        except RunGone:
            return self._register_anew(message)
        except Refused as error:  # another copy may have announced itself a moment ago
            if error.status != CONFLICT or "modelId" not in message.identity.ids:
                raise
            if (apart := self._kept_apart(message)) is not None:
                return apart
            # The other copy's session is in our own journal, so both are told as one run, this one without its place.
            placeless = _without_session(message)
            if placeless is None:
                raise
            answer = self._event(placeless, placeless.data_json)
        if answer.get("cancelled") and "modelId" in message.identity.ids:
            return self._register_anew(message)
        return self._registered(answer, message.identity, found)

    def _kept_apart(self, message: Message) -> Receipt | None:
        """Register as a model of its own what is not what the known model has gone on with, else return None.

        What has led there is late: announced, it would have the model run again, and end as it did. Anything else is a
        copy: of a machine, or of a run's folder, of which another one was resumed, too. What that trains must not
        replace what the other one has.
        """
        ours, identity = Session.told(message.data_json), message.identity
        if ours is None or "modelId" not in identity.ids:
            return None
        theirs = newest_session(self._api, identity)
        if theirs is not None and ours.uuid in theirs.ancestors and theirs.uuid not in identity.sessions:
            ids = {**identity.ids, _OLDER: True}
            return Receipt({**_ids(ids), "received": True, "ignored": _GONE_ON}, ids)
        if theirs is None or not is_apart(ours, theirs, identity.sessions):
            return None
        nameless = replace(identity, name=f"{identity.name}-copy", ids={})
        fresh = replace(message, chunk_id=f"{message.chunk_id}.copy", identity=nameless)
        earlier = find_session(self._api, identity, ours) if message.attempt > 1 else None
        if earlier is not None:
            receipt = Receipt({**earlier, "received": True}, earlier)
        else:
            receipt = self._registered(self._event(fresh, fresh.data_json), nameless)
        why = f"model {brief(identity.ids['modelId'])} has gone on with another copy of run {identity.run_uuid}"
        _LOG.warning("%s: %s; this one becomes the model %s", self._host, why, nameless.name)
        ids = {**_NOTHING_UPLOADED, **(receipt.ids or {})}
        return replace(receipt, answer={**receipt.answer, "warning": why}, ids=ids)

    def send(self, message: Message) -> Receipt:
        """Send any other event; the end of a session that others followed is none of the model's."""
        if message.event in _ENDS and message.identity.ids.get(_OLDER):
            return Receipt({"received": True, "ignored": _GONE_ON})
        data = message.data_json
        if message.event == "training_complete":
            data = json.dumps(_with_model_file(json.loads(data), message.identity.ids))
            # What was added may differ from one attempt to the next, when a checkpoint arrived or was given up in
            # between; then the request differs and needs its own key. The platform keeps one completion a model.
            message = replace(message, chunk_id=_own_key(message.chunk_id, data))
        answer = self._event(message, data)
        return Receipt(_kept(answer), signals=_signals(answer))

    def upload(self, upload: Upload, progress: Progress) -> Receipt:
        """Send a checkpoint's bytes to the storage and have the platform take it up.

        Raises:
            Refused: The platform takes up none of the uploads that it gives a place for, of which there were enough.
            DeliveryError: It has not taken it up.
        """
        if upload.identity.ids.get(_OLDER) and "runId" not in upload.identity.ids:
            raise Refused(
                f"{_GONE_ON}, whose weights these older ones would replace; they stay in the journal", status=CONFLICT
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

    def _upload(self, upload: Upload, progress: Progress) -> Receipt:
        place = self._storage.store(upload, partial(self._ask_place, upload), progress)
        path = place.get("gcsPath")
        ids = {"modelPath": path if is_id(path) else None, "modelSize": upload.size}
        answer = self._promote(upload, place) if _is_promoted(upload.identity, place) else {}
        self._storage.forget(upload)
        kept = {**_kept(answer), **ids, "uploadPath": brief(place.get("uploadPath")), "sha256": upload.sha256}
        return Receipt(kept, ids, _signals(answer))

    def _arrived(self, message: Message) -> Receipt | None:
        """Return the receipt of an earlier attempt at a registration, as far as reading can tell."""
        if message.attempt == 1:
            return None
        ids = self._find(message.identity, Session.told(message.data_json))
        if ids is None:
            return None
        if "runId" in ids:
            return Receipt({**ids, "received": True}, ids)
        # The platform tells the model but not its runs; going on with the model gives one.
        known = replace(message, chunk_id=f"{message.chunk_id}.found", identity=replace(message.identity, ids=ids))
        return self._registered(self._event(known, known.data_json), known.identity, ids)

    def _forgotten(self, message: Message) -> Mapping[str, Any]:
        """Return the ids of the model that a training goes on with, or led to, when the journal does not know them."""
        may_be_there = message.identity.has_gone_on or _is_resumed(message.data_json)
        if "modelId" in message.identity.ids or not may_be_there:
            return {}
        return self._find(message.identity, Session.told(message.data_json)) or {}

    def _find(self, identity: Identity, session: Session | None = None) -> dict[str, Any] | None:
        try:
            with self._lists.turn():
                return find_registration(self._api, identity, session)
        except Forbidden as error:
            raise _about(identity, error, registers=True) from None

    def _register_anew(self, message: Message) -> Receipt:
        # Another request than the first one, so it needs another key: under the first the answer would be repeated.
        nameless = replace(message.identity, ids={})
        fresh = replace(message, chunk_id=f"{message.chunk_id}.new", identity=nameless)
        receipt = self._arrived(fresh) or self._registered(self._event(fresh, fresh.data_json), nameless)
        return replace(receipt, ids={**_NOTHING_UPLOADED, **(receipt.ids or {})})

    def _registered(
        self, answer: Mapping[str, Any], identity: Identity, found: Mapping[str, Any] = MappingProxyType({})
    ) -> Receipt:
        """Return the receipt of a registration.

        Args:
            answer: The platform's.
            identity: What the request named; with ids where it was about a model that is known.
            found: What was known of the model besides.

        Raises:
            Transient: The answer gives ids that cannot be used, or those of something else. One without any is that of
                an older server.
        """
        ids = _ids(answer)
        if why := _mismatch(answer, ids, identity):
            raise Transient(f"{self._host} answered the registration with {why}{said(answer)}", status=200)
        is_new = "modelId" in ids and "modelId" not in identity.ids
        page = (("model", ids["modelUrl"]),) if isinstance(ids.get("modelUrl"), str) else ()
        return Receipt(_kept({**answer, **found, **ids}), {**found, **ids}, (*page, *_signals(answer)), is_new)

    def _event(self, message: Message, data: str) -> dict[str, Any]:
        # Assembled as text: the data is JSON already, and parsing it again would cost more than the rest.
        head = json.dumps({"event": message.event, **_reference(message.identity)})
        try:
            return self._post_event(f'{head[:-1]}, "data": {data}}}', message.chunk_id, message.order)
        except Refused as error:
            raise _about(message.identity, error, registers=message.event == REGISTRATION) from None

    def _post_event(self, body: str, key: str, order: str | None) -> dict[str, Any]:
        answer = self._api.post(METRICS, body, key=key, order=order)
        if answer.get("received") is not True:
            missing = f"{self._host} answered without saying that it received the event"
            raise Transient(f"{missing}{said(answer)}", status=200)
        return answer

    def _ask_place(self, upload: Upload) -> dict[str, Any]:
        # Without a key: a repeated answer could hold a URL that has expired.
        wish = {
            "filename": upload.filename,
            **_reference(upload.identity),
            "size": upload.size,
            "sha256": upload.sha256,
        }
        if (run_id := upload.identity.ids.get("runId")) is not None:
            wish["runId"] = run_id
        try:
            place = self._api.post(UPLOAD, json.dumps(wish), order=upload.order)
        except Refused as error:
            raise _about(upload.identity, error) from None
        if not isinstance(place.get("uploadUrl"), str):
            raise Transient(f"{self._host} named no URL to upload to{said(place)}", status=200)
        return place

    def _promote(self, upload: Upload, place: Mapping[str, Any]) -> dict[str, Any]:
        data = {
            "modelPath": place["gcsPath"],
            "runId": upload.identity.ids["runId"],
            "uploadPath": place.get("uploadPath"),
        }
        body = json.dumps({"event": "checkpoint_saved", **_reference(upload.identity), "data": data})
        try:
            return self._post_event(body, _promotion_key(upload, place), upload.order)
        except Refused as error:
            self._storage.forget(upload)
            if error.status in {404, 409}:  # the model was found a moment ago
                raise _UploadLost(str(error), status=error.status) from None
            raise


def _reference(identity: Identity) -> dict[str, Any]:
    """Name the run by the platform's id, or by its address as long as the platform gave none."""
    if "modelId" in identity.ids:
        return {"modelId": identity.ids["modelId"]}
    return {"project": identity.project, "name": identity.name}


def _about(identity: Identity, error: Refused, *, registers: bool = False) -> DeliveryError:
    """Tell a model that is not there any more, and a run that was named otherwise before, from any other refusal."""
    if isinstance(error, Forbidden) and registers:
        return Forbidden(f"{error}; {_NOT_ALLOWED.format(brief(identity.project))}", status=error.status)
    if error.status == 404 and "modelId" in identity.ids:
        return deleted(error)
    if "modelId" not in identity.ids and "idempotency-key" in str(error).lower():
        return Refused(f"{error}; {_NAMED_OTHERWISE}", status=error.status)
    return error


def _mismatch(answer: Mapping[str, Any], ids: Mapping[str, Any], identity: Identity) -> str | None:
    """Return in what way the answer to a registration is not about it, else None."""
    unusable = [name for name in _OWN_IDS if name in answer and name not in ids]
    if unusable := [name for name in unusable if name == "runId" or name not in identity.ids]:
        return f"no usable {' and no usable '.join(unusable)}"
    if answer.get("event", REGISTRATION) != REGISTRATION:
        return "what belongs to another message"
    known = identity.ids.get("modelId")
    if known is not None and ids.get("modelId", known) != known:
        return f"another model than the one that it was for ({brief(known)})"
    return "a run of no model" if known is None and "runId" in ids and "modelId" not in ids else None


def _ids(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ids that an answer gives."""
    return {name: answer[name] for name in _IDS if is_id(answer.get(name))}


def _streamed(message: Message) -> str | None:
    """Return the id of the model that upstream's streaming has made of a training that the journal knows none of."""
    if "modelId" in message.identity.ids or '"platformModel"' not in message.data_json:
        return None
    environment = json.loads(message.data_json).get("environment")
    model_id = environment.get("platformModel") if isinstance(environment, dict) else None
    return model_id if isinstance(model_id, str) and is_id(model_id) else None


def _is_resumed(data_json: str) -> bool:
    """Return whether a registration is that of a training that goes on; `trainArgs` are texts."""
    if '"resume"' not in data_json:
        return False
    args = json.loads(data_json).get("trainArgs")
    return isinstance(args, dict) and str(args.get("resume")) not in NOT_RESUMED


def _signals(answer: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    if not answer.get("cancelled"):
        return ()
    why = words(str(answer.get("reason") or answer.get("action") or ""))
    return (("cancelled", why or "cancelled on the platform"),)


def _kept(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Choose what a receipt keeps by name, so that nothing secret or long can slip in."""
    return {**_ids(answer), **{name: brief(answer[name]) for name in _SAID if name in answer}}


def _without_session(message: Message) -> Message | None:
    """Return a registration that does not tell which session it is; None where it tells none anyway."""
    if Session.told(message.data_json) is None:
        return None
    data = json.loads(message.data_json)
    told = {name: value for name, value in data["environment"].items() if name != "uploaderSession"}
    return replace(
        message, chunk_id=f"{message.chunk_id}.placeless", data_json=json.dumps({**data, "environment": told})
    )


def _with_model_file(data: dict[str, Any], ids: Mapping[str, Any]) -> dict[str, Any]:
    """Add to `training_complete` what only the deliveries before it could tell."""
    file = {name: ids[name] for name in ("modelPath", "modelSize") if ids.get(name) is not None}
    run = {"runId": ids["runId"]} if "runId" in ids else {}
    return {**data, "results": {**(data.get("results") or {}), **file}, **run}


def _is_promoted(identity: Identity, place: Mapping[str, Any]) -> bool:
    return "runId" in identity.ids and bool(place.get("gcsPath"))


def _promotion_key(upload: Upload, place: Mapping[str, Any]) -> str:
    # Each attempt stores the file at a place of its own, so its request differs and needs its own key.
    return _own_key(upload.chunk_id, str(place.get("uploadPath")))


def _own_key(chunk_id: str, what_differs: str) -> str:
    """Return the key of a request that is not the same at each attempt of its delivery."""
    return f"{chunk_id}.{hashlib.sha256(what_differs.encode()).hexdigest()[:16]}"
