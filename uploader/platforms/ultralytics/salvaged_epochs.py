"""Keeps epochs that were taken in from a trainer's own record from replacing the same ones on the platform.

Such a record has fewer digits, and nothing of the machine. A run whose journal was lost has them all, also those that
had arrived before. A platform that goes by the order of messages ignores them; others are asked what they have.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from journal.kinds import EPOCH
from journal.metrics import SOURCE, is_same
from uploader.platforms.base import Message, RunIdentity
from uploader.platforms.http.json_api import JsonApi
from uploader.platforms.http.list_lock import ListLock
from uploader.platforms.ultralytics.reconcile import epochs_there

IS_THERE = "the platform has this epoch, with more digits"
_MOST_MODELS = 16


class SalvagedEpochs:
    """What models had of such epochs when the first one of each was to be sent. Threads may share it."""

    def __init__(self, api: JsonApi, lists: ListLock) -> None:
        """Read nothing yet.

        Args:
            api: The platform's endpoints.
            lists: Held while a model is read.
        """
        self._api = api
        self._lists = lists
        self._known: dict[str, Mapping[int, Mapping[str, Any]]] = {}

    def is_there(self, message: Message) -> bool:
        """Return whether a message is of such an epoch, and the platform has the same one.

        Raises:
            DeliveryError: The platform could not be read now.
        """
        if message.event != EPOCH or f'"{SOURCE}"' not in message.data_json or "modelId" not in message.identity.ids:
            return False
        data = json.loads(message.data_json)
        number, metrics = data.get("epoch"), data.get("metrics")
        if not (isinstance(data.get(SOURCE), str) and isinstance(number, int) and isinstance(metrics, dict)):
            return False
        known = self._epochs(message.identity).get(number)
        return known is not None and is_same(metrics, known)

    def _epochs(self, identity: RunIdentity) -> Mapping[int, Mapping[str, Any]]:
        model_id = str(identity.ids["modelId"])
        if (known := self._known.get(model_id)) is not None:
            return known
        with self._lists.locked():
            if model_id not in self._known:
                while len(self._known) >= _MOST_MODELS:
                    del self._known[next(iter(self._known))]
                self._known[model_id] = epochs_there(self._api, identity) or {}
            return self._known[model_id]
