"""Messages to the platform's endpoint for events, and what its answers mean."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from journal.evaluations import SAID, without_said
from journal.kinds import REGISTRATION
from uploader.errors import DeliveryError, Forbidden, Refused, Transient
from uploader.platforms.answers import brief, deleted, is_id, server_message, shortened
from uploader.platforms.base import Message, RunIdentity
from uploader.platforms.http.json_api import JsonApi

METRICS = "/api/webhooks/training/metrics"

SHOWS = "shows"
"""An id of a run that says what else the platform shows of it: a list of words, which only the local platform tells."""
SUMMARY = "summary"
"""Such a word, and the member of the results that is shown then."""
_IDS = ("modelId", "runId", "modelSlug", "modelUrl")
_KEPT_FIELDS = ("received", "event", "mode", "cancelled", "action", "reason", "warning", "ignored")

# What a message says of the run is frozen, except the project of a run that named none, which the drain adds.
_NAMED_OTHERWISE = (
    "the run was registered before under another project or name: set UPLOADER_PROJECT to that project, then `retry`"
)
_NOT_ALLOWED = (
    "this key may not write to the project '{}': get access to it, or send the run to another project (`route`), then "
    "`retry`"
)


class Events:
    """Sends messages. Threads may share it."""

    def __init__(self, api: JsonApi, host: str) -> None:
        """Prepare.

        Args:
            api: The platform's endpoints.
            host: Its name, for messages.
        """
        self._api = api
        self._host = host

    def send(self, message: Message, data: str) -> dict[str, Any]:
        """Send an event with this data, which is JSON text, and return the answer.

        Raises:
            DeliveryError: The answer does not say that the event was received.
        """
        # Assembled as text: the data is JSON already, and parsing it would cost more than all the rest.
        head = json.dumps({"event": message.event, **reference(message.identity)})
        is_evaluation, data = without_said(data) if f'"{SAID}"' in data else (None, data)
        body, order, times = f'{head[:-1]}, "data": {data}}}', message.order, message.times
        try:
            return self.post(body, message.chunk_id, order, times, is_evaluation=is_evaluation)
        except Refused as error:
            raise about(message.identity, error, registers=message.event == REGISTRATION) from None

    def post(
        self, body: str, key: str, order: str | None, times: str | None = None, *, is_evaluation: bool | None = None
    ) -> dict[str, Any]:
        """Send a complete request under its idempotency key and return the answer.

        Raises:
            DeliveryError: The answer does not say that the event was received.
        """
        answer = self._api.post(METRICS, body, key=key, order=order, times=times, is_evaluation=is_evaluation)
        if answer.get("received") is not True:
            missing = f"{self._host} answered without saying that it received the event"
            raise Transient(f"{missing}{server_message(answer)}", status=200)
        return answer


def reference(identity: RunIdentity) -> dict[str, Any]:
    """Name the run by the platform's id, or by project and name while there is none."""
    if "modelId" in identity.ids:
        return {"modelId": identity.ids["modelId"]}
    return {"project": identity.project, "name": identity.name}


def about(identity: RunIdentity, error: Refused, *, registers: bool = False) -> DeliveryError:
    """Distinguish a deleted model, and a run that had another name before, from any other refusal."""
    if isinstance(error, Forbidden) and registers:
        return Forbidden(f"{error}; {_NOT_ALLOWED.format(brief(identity.project))}", status=error.status)
    if error.status == 404 and "modelId" in identity.ids:
        return deleted(error)
    if "modelId" not in identity.ids and "idempotency-key" in str(error).lower():
        return Refused(f"{error}; {_NAMED_OTHERWISE}", status=error.status)
    return error


def ids_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ids in an answer."""
    shows = answer.get(SHOWS)
    words = {SHOWS: [each for each in shows if is_id(each)]} if isinstance(shows, list) else {}
    return {**{name: answer[name] for name in _IDS if is_id(answer.get(name))}, **words}


def is_shown(identity: RunIdentity, word: str) -> bool:
    """Return whether the platform has said that it shows such of the run."""
    return word in (identity.ids.get(SHOWS) or ())


def signals_of(answer: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return what an answer signals to the training."""
    if not answer.get("cancelled"):
        return ()
    why = shortened(str(answer.get("reason") or answer.get("action") or ""))
    return (("cancelled", why or "cancelled on the platform"),)


def kept(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Choose what a receipt keeps by name, so that nothing secret or long can slip in."""
    return {**ids_of(answer), **{name: brief(answer[name]) for name in _KEPT_FIELDS if name in answer}}


def own_key(chunk_id: str, what_differs: str) -> str:
    """Return the key of a request that may differ between attempts at its delivery."""
    return f"{chunk_id}.{hashlib.sha256(what_differs.encode()).hexdigest()[:16]}"
