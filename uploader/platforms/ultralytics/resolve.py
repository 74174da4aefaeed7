"""Resolves `ul://` addresses of datasets and models to signed URLs, which anybody may fetch for a while."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from uploader.errors import CredentialsRefused, DeliveryError
from uploader.masking import Keys
from uploader.platforms.base import Access, Located

if TYPE_CHECKING:
    from uploader.platforms.answers import Answer

_PREFIX = "ul://"
_OLDER = ("/api/webhooks/", "/api/v1/")
_MODEL_SECONDS = 90.0
_DATASET_SECONDS = 3600.0  # a platform may build the export while we wait


def locate(uri: str, access: Access) -> Located:
    """Ask a platform where a dataset or a model's weights can be fetched.

    Args:
        uri: `ul://user/datasets/slug` for a dataset, `ul://user/project/model` for a model's weights.
        access: The platform's.

    Raises:
        ValueError: The URI is malformed, or the key is missing or not accepted.
        PermissionError: The platform does not let this key have it.
        FileNotFoundError: There is no such dataset or model, or the model has no weights yet.
        RuntimeError: It is still processing, or the platform answered in a way it should not.
        ConnectionError: The platform cannot be reached, or cannot answer now.
    """
    return _ask(endpoints(uri), access, uri)


@dataclass(frozen=True)
class Endpoints:
    """Where to ask about one URI: `GET` the current path, `HEAD` those that servers had before it."""

    parts: tuple[str, str, str]
    current: str
    older: tuple[str, ...]
    seconds: float


def endpoints(uri: str) -> Endpoints:
    """Return where to ask about a URI.

    Raises:
        ValueError: It is malformed.
    """
    parts = str(uri).removeprefix(_PREFIX).split("/")
    if not str(uri).startswith(_PREFIX) or len(parts) != 3 or not all(part.strip(". ") for part in parts):
        raise ValueError(f"{uri!r} is not like ul://user/datasets/name or ul://user/project/model")
    named = (parts[0], parts[1], parts[2])
    owner, middle, name = (quote(part, safe="") for part in parts)
    if middle == "datasets":
        export = f"datasets/{owner}/{name}/export"
        return Endpoints(named, f"/api/{export}", tuple(place + export for place in _OLDER), _DATASET_SECONDS)
    model = f"models/{owner}/{middle}/{name}"
    older = tuple(f"{place}{model}/download" for place in _OLDER)
    return Endpoints(named, f"/api/{model}/files", older, _MODEL_SECONDS)


def _ask(endpoints: Endpoints, access: Access, uri: str) -> Located:
    """Return where it is; older endpoints redirect to it.

    Raises:
        FileNotFoundError: No endpoint knows the resource; the platform's words say why, where it has some.
    """
    from uploader.platforms.answers import detail
    from uploader.platforms.http.json_api import bearer
    from uploader.platforms.http.transport import Transport

    try:
        headers = {**bearer(access.key()), "Accept": "application/json"}
    except CredentialsRefused as error:
        raise ValueError(f"{uri} cannot be resolved: {error}") from None
    transport = Transport(connections=1, ca_bundle=access.ca_bundle, answer_seconds=endpoints.seconds)

    def request(method: str, path: str) -> Answer:
        try:
            return transport.request(method, access.url + path, headers=headers, is_api=True)
        except DeliveryError as error:
            raise ConnectionError(f"{uri} cannot be resolved now: {error}") from None

    try:
        answer = request("GET", endpoints.current)
        if answer.status not in {404, 405}:
            found, said = _located_in(answer, uri), ""
        else:
            url = _first_redirect(endpoints, request, uri)
            found = None if url is None else Located(url)
            said = Keys([access.key()]).out_of_failure("" if answer.is_page else detail(answer))
        if found is None:
            raise FileNotFoundError(f"{access.url} has no dataset or model weights for {uri}{said}")
        return found
    finally:
        transport.close()


def _first_redirect(endpoints: Endpoints, request: Callable[[str, str], Answer], uri: str) -> str | None:
    for path in endpoints.older:
        answer = request("HEAD", path)
        if answer.status not in {404, 405}:
            return _location(answer, uri)
    return None


def _located_in(answer: Answer, uri: str) -> Located | None:
    """Return what a current answer says of the dataset, or of the first of a model's files."""
    _check(answer, uri)
    content = answer.json() or {}
    files = content.get("files")
    if files == []:
        return None
    source = files[0] if isinstance(files, list) and isinstance(files[0], dict) else content
    size, sha256 = source.get("size"), source.get("sha256")
    return Located(
        _signed(source.get("downloadUrl"), answer, uri),
        int(size) if isinstance(size, (int, float)) else None,
        sha256 if isinstance(sha256, str) else None,
    )


def _location(answer: Answer, uri: str) -> str:
    if not 300 <= answer.status < 400:
        _check(answer, uri)
    return _signed(answer.headers.get("Location"), answer, uri)


def _signed(url: object, answer: Answer, uri: str) -> str:
    if isinstance(url, str) and url.startswith(("https://", "http://")):
        return url
    raise RuntimeError(f"the platform answered {answer.status} without a URL for {uri}")


def _check(answer: Answer, uri: str) -> None:
    """Raise the error that an unsuccessful answer stands for."""
    from uploader.platforms.answers import foreign

    status = answer.status
    if status == 401:
        raise ValueError(f"the platform does not accept the API key for {uri}; check ULTRALYTICS_API_KEY")
    if 400 <= status < 500 and answer.is_page:
        raise ConnectionError(f"{uri} cannot be resolved now: {foreign(answer, 'the platform')}")
    if status == 403:
        raise PermissionError(f"this API key has no access to {uri}")
    if status == 409:
        raise RuntimeError(f"{uri} is still processing; try again later")
    if status in {408, 425, 429} or status >= 500:
        raise ConnectionError(f"{uri} cannot be resolved now: the platform answered {status}")
    if not answer.ok:
        raise RuntimeError(f"{uri} cannot be resolved: the platform answered {status}")
