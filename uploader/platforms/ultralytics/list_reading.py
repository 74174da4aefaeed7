"""Reads what the platform lists beside a run's model.

GET /api/models/<owner>/<project>/<model>/media     images and plots, which only the local platform has
GET /api/models/<owner>/<project>/<model>/exports   the conversions that were ordered
GET /api/datasets/<owner>/<dataset>                 a dataset, and which files were taken in
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from journal.kinds import CONVERSION, MEDIA
from uploader.errors import Refused, Transient
from uploader.platforms.base import RunIdentity
from uploader.platforms.http.json_api import JsonApi
from uploader.platforms.reading_back import ItemKind, Place, Shown
from uploader.platforms.ultralytics import listed_items
from uploader.platforms.ultralytics.dataset_upload import DATASETS
from uploader.platforms.ultralytics.reconcile import places as owned_places

NO_MEDIA = "this platform shows no images and plots of a loop"
_FIELDS: Mapping[ItemKind, frozenset[str]] = {
    MEDIA: frozenset({"content"}),
    CONVERSION: frozenset({"format", "args", "status"}),
    "dataset": frozenset({"status", "files"}),
}
_LONGEST = 512 * 1024 * 1024  # bytes of a list; a local platform of before sends the images' files in it
_NOT_OFFERED = frozenset({404, 405, 501})

_Found = Mapping[Place, Sequence[Mapping[str, Any]]]


class ListReader:
    """Reads lists of one platform."""

    def __init__(self, api: JsonApi, identity: RunIdentity, model: str) -> None:
        """Prepare; nothing is sent yet.

        Args:
            api: The platform's endpoints.
            identity: The run.
            model: The path of its model.
        """
        self._api = api
        self._identity = identity
        self._model = model

    def read(self, shown: Shown, places: Collection[Place]) -> Shown:
        """Return what is shown with these lists; see `Listing.read_lists`."""
        for kind in _FIELDS:
            keys = [key for each, key in places if each == kind]
            if keys and kind not in shown.untold:
                shown = self._with(shown, kind, keys)
        return shown

    def _with(self, shown: Shown, kind: ItemKind, keys: Sequence[str]) -> Shown:
        try:
            found = self._read(kind, keys)
        except Refused as error:
            return replace(shown, untold={**shown.untold, kind: f"it shows none of them: {error}"})
        except Transient as error:
            if error.status not in _NOT_OFFERED:
                raise
            return replace(shown, untold={**shown.untold, kind: f"it shows none of them: {error}"})
        return replace(shown, items={**shown.items, **found}, fields={**shown.fields, kind: _FIELDS[kind]})

    def _read(self, kind: ItemKind, keys: Sequence[str]) -> _Found:
        if kind == MEDIA:
            return listed_items.media(self._api.get(f"{self._model}/media?files=sha256", longest=_LONGEST))
        if kind == CONVERSION:
            return listed_items.conversions(self._api.get(f"{self._model}/exports", longest=_LONGEST))
        return {place: value for key in keys for place, value in self._dataset(key).items()}

    def _dataset(self, slug: str) -> _Found:
        owner = next((owner for owner, _ in owned_places(self._api, "any")), None)
        try:
            answer = self._api.get(f"{DATASETS}/{quote(str(owner), safe='')}/{quote(slug, safe='')}")
        except Refused as error:
            if error.status != 404:
                raise
            return {}
        return listed_items.dataset(slug, answer)
