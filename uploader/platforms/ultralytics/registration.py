"""Registrations: which model a session is announced to, and whether an earlier attempt has arrived.

A session continues the model that is known for its run, the one that upstream's streaming created, or one that is found
by the run's uuid; otherwise it becomes a new model. A session that the known model has continued without is kept apart.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from journal.kinds import REGISTRATION
from uploader.errors import Forbidden, Refused, RunGone, Transient
from uploader.platforms.answers import brief, is_id, server_message
from uploader.platforms.base import NOT_RESUMED, Message, Receipt, RunIdentity
from uploader.platforms.http.json_api import JsonApi
from uploader.platforms.http.list_lock import ListLock
from uploader.platforms.session_lineage import ReportedSession, is_apart
from uploader.platforms.ultralytics import ULTRALYTICS
from uploader.platforms.ultralytics.events import (
    Events,
    about,
    ids_of,
    kept,
    own_key,
    reference,
    signals_of,
)
from uploader.platforms.ultralytics.reconcile import find_registration, find_session, newest_session

OLDER = "isOlder"
"""An id of ours: the model has continued with a session that follows the newest one of the run here."""
NOT_OF_THE_OTHER = dict.fromkeys(("modelSlug", "modelUrl", "modelPath", "modelSize"))
"""Ids of a model that replaces another one, whose name, page and upload they must not keep."""
GONE_ON = "the model has gone on with a later session of the run"
CONFLICT = 409
_OWN_IDS = ("modelId", "runId")
_LOG = logging.getLogger("uploader")


class Registrations:
    """Announces sessions. Threads may share it."""

    def __init__(self, api: JsonApi, events: Events, host: str, lists: ListLock) -> None:
        """Prepare.

        Args:
            api: The platform's endpoints.
            events: Sends the announcements.
            host: The platform's name, for messages.
            lists: Held while a list of models is read.
        """
        self._api = api
        self._events = events
        self._host = host
        self._lists = lists

    def register(self, message: Message) -> Receipt:
        """Send `training_started`: for the known model if there is one, else as a new model.

        When an earlier attempt may have arrived, that is looked up first, and so is the model of a resumed training
        whose journal was lost. A model that has been deleted or cancelled takes no more sessions; the run then
        continues as a new one; but what is sent again is no further session, and stays with its cancelled model.
        """
        receipt = self._go_on(message) or self._begin(message)
        is_newest = {OLDER: None} if OLDER in message.identity.ids else {}
        return replace(receipt, ids={**is_newest, **(receipt.ids or {})})

    def _go_on(self, message: Message) -> Receipt | None:
        """Register with the model that upstream's streaming created, if there is one and it still takes sessions."""
        model_id = _streamed(message)
        if model_id is None:
            return None
        if (earlier := self._arrived(message)) is not None:
            return earlier
        named = replace(message.identity, ids={"modelId": model_id})
        known = replace(message, identity=named, chunk_id=own_key(message.chunk_id, model_id))
        if (apart := self._kept_apart(known)) is not None:
            return apart
        try:
            answer = self._events.send(known, known.data_json)
        except RunGone:  # it was deleted, or is another platform's
            return None
        return None if answer.get("cancelled") else self._registered(answer, named, {"modelId": model_id})

    def _begin(self, message: Message) -> Receipt:
        found, is_sent_again = self._forgotten(message), _is_sent_again(message)
        message = _for_known_model(message, found)
        try:
            answer = (
                self._kept_apart(message) or self._arrived(message) or self._events.send(message, message.data_json)
            )
        except RunGone:
            return self._register_anew(message)
        except Refused as error:
            answer = self._after_refusal(message, error)
        if isinstance(answer, Receipt):
            return answer
        if answer.get("cancelled") and "modelId" in message.identity.ids and not (is_sent_again and self._has(message)):
            return self._register_anew(message)
        return self._registered(answer, message.identity, found)

    def _has(self, message: Message) -> bool:
        """Return whether a known model has a session already; also where neither names one, so nobody can tell."""
        ours = ReportedSession.of_registration(message.data_json)
        theirs = newest_session(self._api, message.identity) if ours else None
        return ours is None or theirs is None or ours.uuid in {theirs.uuid, *theirs.ancestors}

    def _after_refusal(self, message: Message, error: Refused) -> Receipt | dict[str, Any]:
        """Register after all where another copy may have announced itself a moment ago, else raise the refusal."""
        if error.status != CONFLICT or "modelId" not in message.identity.ids:
            raise error
        if (apart := self._kept_apart(message)) is not None:
            return apart
        # The other copy's session is in our own journal: both are one run, and this one goes without its lineage.
        without_session = _without_session(message)
        if without_session is None:
            raise error
        return self._events.send(without_session, without_session.data_json)

    def _kept_apart(self, message: Message) -> Receipt | None:
        """Register as a separate model what the known model has not continued with; otherwise return None.

        A session that led to the model's newest one is late: announced, it would reopen the model and end it again.
        Anything else comes from a copy of a machine or of a run's folder, where another copy was resumed, too. What it
        trains must not replace the other's results.
        """
        ours, identity = ReportedSession.of_registration(message.data_json), message.identity
        if ours is None or "modelId" not in identity.ids:
            return None
        theirs = newest_session(self._api, identity)
        if theirs is not None and ours.uuid in theirs.ancestors and theirs.uuid not in identity.sessions:
            ids = {**identity.ids, OLDER: True}
            return Receipt({**ids_of(ids), "received": True, "ignored": GONE_ON}, ids)
        if theirs is None or not is_apart(ours, theirs, identity.sessions):
            return None
        unregistered = replace(identity, name=f"{identity.name}-copy", ids={})
        fresh = replace(message, chunk_id=f"{message.chunk_id}.copy", identity=unregistered)
        earlier = find_session(self._api, identity, ours) if message.attempt > 1 else None
        if earlier is not None:
            receipt = Receipt({**earlier, "received": True}, earlier)
        else:
            receipt = self._registered(self._events.send(fresh, fresh.data_json), unregistered)
        why = f"model {brief(identity.ids['modelId'])} has gone on with another copy of run {identity.run_uuid}"
        _LOG.warning("%s: %s; this one becomes the model %s", self._host, why, unregistered.name)
        ids = {**NOT_OF_THE_OTHER, **(receipt.ids or {})}
        return replace(receipt, answer={**receipt.answer, "warning": why}, ids=ids)

    def _arrived(self, message: Message) -> Receipt | None:
        """Return the receipt of an earlier attempt at the registration, if the platform shows that it arrived."""
        if message.attempt == 1:
            return None
        ids = self._find(message)
        if ids is None:
            return None
        if "runId" in ids:
            return Receipt({**ids, "received": True}, ids)
        # The platform lists the model but not its runs; continuing the model creates one.
        known = replace(message, chunk_id=f"{message.chunk_id}.found", identity=replace(message.identity, ids=ids))
        return self._registered(self._events.send(known, known.data_json), known.identity, ids)

    def _forgotten(self, message: Message) -> Mapping[str, Any]:
        """Return the ids of the model that a training continues, or led to, when the journal does not know them."""
        may_be_there = message.identity.has_gone_on or _is_resumed(message.data_json)
        if "modelId" in message.identity.ids or not may_be_there:
            return {}
        return self._find(message) or {}

    def _find(self, message: Message) -> dict[str, Any] | None:
        session = ReportedSession.of_registration(message.data_json)
        try:
            with self._lists.locked():
                return find_registration(self._api, message.identity, session, is_first=_is_first(message))
        except Forbidden as error:
            raise about(message.identity, error, registers=True) from None

    def _register_anew(self, message: Message) -> Receipt:
        # A different request from the first, so it needs its own key: under the first, that answer would be repeated.
        unregistered = replace(message.identity, ids={})
        fresh = replace(message, chunk_id=f"{message.chunk_id}.new", identity=unregistered)
        receipt = self._arrived(fresh) or self._registered(self._events.send(fresh, fresh.data_json), unregistered)
        return replace(receipt, ids={**NOT_OF_THE_OTHER, **(receipt.ids or {})})

    def _registered(
        self, answer: Mapping[str, Any], identity: RunIdentity, found: Mapping[str, Any] = MappingProxyType({})
    ) -> Receipt:
        """Return the receipt of a registration.

        Args:
            answer: The platform's.
            identity: What the request named; with ids if it was for a known model.
            found: What else was known of the model.

        Raises:
            Transient: The answer's ids are unusable, or belong to something else. An older server answers without any.
        """
        ids = ids_of(answer)
        if why := _mismatch(answer, ids, identity):
            raise Transient(f"{self._host} answered the registration with {why}{server_message(answer)}", status=200)
        is_new = "modelId" in ids and "modelId" not in identity.ids
        page = (("model", ids["modelUrl"]),) if isinstance(ids.get("modelUrl"), str) else ()
        return Receipt(kept({**answer, **found, **ids}), {**found, **ids}, (*page, *signals_of(answer)), is_new)


def _for_known_model(message: Message, found: Mapping[str, Any]) -> Message:
    """Return a registration with the ids that were found; for a known model it gets a key of its own.

    It is a different request from the one that created the model; a rebuilt journal gives both the same chunk id.
    """
    identity = replace(message.identity, ids={**message.identity.ids, **found})
    if "modelId" not in identity.ids:
        return replace(message, identity=identity)
    own = own_key(message.chunk_id, json.dumps(reference(identity)))
    return replace(message, identity=identity, chunk_id=own)


def _mismatch(answer: Mapping[str, Any], ids: Mapping[str, Any], identity: RunIdentity) -> str | None:
    """Return how the answer to a registration does not fit it, else None."""
    unusable = [name for name in _OWN_IDS if name in answer and name not in ids]
    if unusable := [name for name in unusable if name == "runId" or name not in identity.ids]:
        return f"no usable {' and no usable '.join(unusable)}"
    if answer.get("event", REGISTRATION) != REGISTRATION:
        return "what belongs to another message"
    known = identity.ids.get("modelId")
    if known is not None and ids.get("modelId", known) != known:
        return f"another model than the one that it was for ({brief(known)})"
    return "a run of no model" if known is None and "runId" in ids and "modelId" not in ids else None


def _streamed(message: Message) -> str | None:
    """Return the id of the model that upstream's streaming created for a run without a known model."""
    if "modelId" in message.identity.ids or f'"{ULTRALYTICS.model_field}"' not in message.data_json:
        return None
    environment = json.loads(message.data_json).get("environment")
    model_id = environment.get(ULTRALYTICS.model_field) if isinstance(environment, dict) else None
    return model_id if isinstance(model_id, str) and is_id(model_id) else None


def _is_sent_again(message: Message) -> bool:
    """Return whether the journal sends a registration again that it sent before: such have ids like `CHUNK.2`."""
    return "." in message.chunk_id


def _is_first(message: Message) -> bool:
    """Return whether a registration is of its run's first session, by the generation that its order begins with."""
    return message.order is not None and message.order.startswith("1 ")


def _is_resumed(data_json: str) -> bool:
    """Return whether a registration is of a resumed training; the values of `trainArgs` are text."""
    if '"resume"' not in data_json:
        return False
    args = json.loads(data_json).get("trainArgs")
    return isinstance(args, dict) and str(args.get("resume")) not in NOT_RESUMED


def _without_session(message: Message) -> Message | None:
    """Return a registration without its session; None if it has none anyway."""
    if ReportedSession.of_registration(message.data_json) is None:
        return None
    data = json.loads(message.data_json)
    environment = {name: value for name, value in data["environment"].items() if name != "uploaderSession"}
    return replace(
        message, chunk_id=f"{message.chunk_id}.placeless", data_json=json.dumps({**data, "environment": environment})
    )
