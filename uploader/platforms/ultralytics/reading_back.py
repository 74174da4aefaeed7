"""Reads a run's model back from the platform: everything that its API shows of it, and the bytes of its weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote

from uploader.errors import Forbidden, Refused, Transient
from uploader.platforms.answers import server_message
from uploader.platforms.base import RunIdentity
from uploader.platforms.http.json_api import JsonApi
from uploader.platforms.http.transport import Transport
from uploader.platforms.reading_back import Shown
from uploader.platforms.ultralytics import items
from uploader.platforms.ultralytics.reconcile import MODELS, places

_LONGEST = 512 * 1024 * 1024  # bytes of a model with all its epochs and console text
_FIRST_LIST = 50  # models; twice as many are asked for until the one that is looked for is among them
_NO_SUCH_PATH = frozenset({404, 405})


class ModelReader:
    """Reads models back from one platform."""

    def __init__(self, api: JsonApi, transport: Transport, host: str) -> None:
        """Prepare; nothing is sent yet.

        Args:
            api: The platform's endpoints.
            transport: Its connections.
            host: Its name, for messages.
        """
        self._api = api
        self._transport = transport
        self._host = host

    def read_back(self, identity: RunIdentity) -> Shown:
        """Return what the platform shows of a run.

        Raises:
            DeliveryError: It could not be read now, or not with this key, or a server of this age shows no models.
        """
        hidden: Forbidden | None = None
        for find in (self._by_name, self._in_lists):
            try:
                if (found := find(identity)) is not None:
                    return items.shown(*found)
            except Forbidden as error:  # what may not be read may be there, unless it turns out to be in another place
                hidden = error
        if hidden is not None:
            raise hidden
        if not self._api.known:
            raise Transient(f"{self._host} shows no models: nothing can be read back from it", status=404)
        return Shown(absence=f"{self._host} has no model of this run")

    def download(self, files: object, size: int, write: Callable[[bytes], object]) -> None:
        """Read a model's weights back, block by block.

        Args:
            files: The path at which the platform lists the model's files.
            size: How many bytes are expected.
            write: Called with each block.

        Raises:
            DeliveryError: They are not to be had now.
        """
        answer = self._api.get(str(files))
        listed = answer.get("files")
        found = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
        urls = [(each.get("size") != size, each["downloadUrl"]) for each in found if _is_url(each.get("downloadUrl"))]
        if not urls:
            raise Refused(f"{self._host} offers no file of the model to download{server_message(answer)}", status=404)
        self._transport.stream(min(urls, key=lambda one: one[0])[1], write)

    def _by_name(self, identity: RunIdentity) -> tuple[Mapping[str, Any], str] | None:
        """Return the model by what the platform called it when it was registered, and where it is."""
        if not isinstance(slug := identity.ids.get("modelSlug"), str):
            return None
        for owner, project in self._places(identity):
            path = f"{MODELS}/{_quoted(owner, project, slug)}"
            model = self._model(path)
            if model is not None and _is_of(model, identity):
                return model, path
        return None

    def _in_lists(self, identity: RunIdentity) -> tuple[Mapping[str, Any], str] | None:
        """Return the model from a list of its project's, where it was renamed or its name is not known."""
        for owner, project in self._places(identity):
            for model in self._listed(f"{MODELS}/{_quoted(owner, project)}"):
                if _is_of(model, identity) and isinstance(slug := model.get("model"), str):
                    path = f"{MODELS}/{_quoted(owner, project, slug)}"
                    return self._model(path) or model, path
        return None

    def _places(self, identity: RunIdentity) -> Iterator[tuple[str, str]]:
        """Yield the owner and the project of the model's page, which the platform named, then where it may be else."""
        page = str(identity.ids.get("modelUrl") or "").partition("?")[0].rstrip("/").split("/")
        named = [(unquote(page[-3]), unquote(page[-2]))] if len(page) > 3 else []
        yield from named
        yield from (each for each in places(self._api, identity.project) if each not in named)

    def _model(self, path: str) -> Mapping[str, Any] | None:
        answer = self._found(path)
        if answer is None:
            return None
        if not isinstance(model := answer.get("model"), dict):
            raise Transient(f"{self._host} answered without the model{server_message(answer)}", status=200)
        return model

    def _found(self, path: str) -> Mapping[str, Any] | None:
        try:
            return self._api.get(path, longest=_LONGEST)
        except Refused as error:
            if error.status in _NO_SUCH_PATH:
                return None
            raise

    def _listed(self, path: str) -> Iterator[Mapping[str, Any]]:
        """Yield a project's models, those of each longer list that the ones before did not have."""
        seen, most = 0, _FIRST_LIST
        while (answer := self._found(f"{path}?limit={most}")) is not None:
            listed = answer.get("models")
            models = listed if isinstance(listed, list) else []
            yield from (each for each in models[seen:] if isinstance(each, dict))
            if len(models) < most:
                return
            seen, most = len(models), 2 * most


def _quoted(*parts: str) -> str:
    return "/".join(quote(part, safe="") for part in parts)


def _is_of(model: Mapping[str, Any], identity: RunIdentity) -> bool:
    """Return whether a model is the run's: by its id, or by the run's uuid where the id is not known."""
    if "modelId" in identity.ids:
        return bool(model.get("id") == identity.ids["modelId"])
    environment = model.get("environment")
    return isinstance(environment, dict) and environment.get("uploaderRun") == identity.run_uuid


def _is_url(value: object) -> bool:
    return isinstance(value, str) and value.startswith(("https://", "http://"))
