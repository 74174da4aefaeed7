"""Whether an earlier attempt at a registration arrived, told by reading the platform.

The platform has no idempotency keys. When the answer to a `training_started` was lost, sending it again could make a
second model. So before it is sent again the models of the project are read: the run's uuid travels in `environment`.

What this cannot see: a request that is handled only after the reading, because it was still on its way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

from uploader.errors import Forbidden, ReadRefused, Refused, Transient
from uploader.platforms.answers import is_id, said
from uploader.platforms.base import Identity
from uploader.platforms.http.json_api import JsonApi
from uploader.platforms.session_lineage import Session

ACCOUNT = "/api/account/summary"
MODELS = "/api/models"
Value = TypeVar("Value")

_NO_SUCH_PATH = frozenset({404, 405})
_NEWEST = 50
"""So many models of a project are looked at: what is looked for was registered a moment ago."""
_LONGEST_LIST = 64 * 1024 * 1024  # bytes; each model comes with all its epochs and console text


def find_registration(api: JsonApi, identity: Identity, session: Session | None = None) -> dict[str, Any] | None:
    """Return the ids that an earlier attempt at this registration was given, or None when there was none.

    Args:
        api: The platform's endpoints.
        identity: The run; with ids when it is a session of a run that the platform knows.
        session: The session, where it is told.

    Raises:
        DeliveryError: The platform could not be read now.
    """
    found = _models(api, identity.project)
    if "modelId" in identity.ids:
        try:
            return _resumed(found, identity.ids, session)
        except Transient as error:
            if error.status in _NO_SUCH_PATH:  # without knowing it: one run more of a known model does no harm
                return None
            raise
    return _new(found, identity.run_uuid, session) or _moved(api, identity, session)


def _moved(api: JsonApi, identity: Identity, session: Session | None) -> dict[str, Any] | None:
    """Look in the projects that the run had before; where one may not be read, nothing of it was taken."""
    for project in {*identity.former_projects} - {identity.project}:
        with suppress(Forbidden):
            if found := _new(_models(api, project), identity.run_uuid, session):
                return found
    return None


def find_session(api: JsonApi, identity: Identity, session: Session) -> dict[str, Any] | None:
    """Return the ids of the model that heard of this session last, or None when there is none.

    Raises:
        DeliveryError: The platform could not be read now.
    """
    found = (model for model in _models(api, identity.project) if Session.of(model) == session)
    return next((_ids_of(model) for model in found), None)


def newest_session(api: JsonApi, identity: Identity) -> Session | None:
    """Return the session that a known model has heard of last; None where it tells none, or cannot be read.

    So it is, too, where a page or no words at all say that there is no such path, as an older platform's web server
    does: waiting for another answer would hold up each resumed training forever.

    Raises:
        DeliveryError: The platform could not be read now.
    """
    try:
        return next((Session.of(model) for model in _named(api, identity)), None)
    except (Forbidden, ReadRefused):
        return None
    except Transient as error:
        if error.status == 200 or error.status in _NO_SUCH_PATH:  # no answer that tells it, nor would another one
            return None
        raise


def find_model(api: JsonApi, identity: Identity) -> Mapping[str, Any] | None:
    """Return what the platform has of a run, known to it or not; None where it has nothing, or cannot tell.

    Raises:
        DeliveryError: The platform could not be read now.
    """
    try:
        if "modelId" in identity.ids:
            return next(_named(api, identity), None)
        return next((each for each in _models(api, identity.project) if _carries(each, identity.run_uuid)), None)
    except (Forbidden, ReadRefused):
        return None
    except Transient as error:
        if error.status == 200:  # an answer, but none that tells it, nor would another one
            return None
        raise


def _carries(model: Mapping[str, Any], run_uuid: str) -> bool:
    environment = model.get("environment")
    return isinstance(environment, dict) and environment.get("uploaderRun") == run_uuid


def _named(api: JsonApi, identity: Identity) -> Iterator[Mapping[str, Any]]:
    """Yield the known model: by its name where that is known, which is much less to read."""
    slug, model_id = identity.ids.get("modelSlug"), identity.ids["modelId"]
    for owner, name in _places(api, identity.project):
        path = "/".join(quote(part, safe="") for part in (owner, name, str(slug or "")))
        model = _read(partial(api.get, f"{MODELS}/{path}", longest=_LONGEST_LIST), "model", dict) if slug else None
        found = [model or {}] if slug else _listed(api, f"{MODELS}/{path.rstrip('/')}")
        yield from (each for each in found if each.get("id") == model_id)


def _new(models: Iterable[Mapping[str, Any]], run_uuid: str, session: Session | None) -> dict[str, Any] | None:
    """Return the ids of the model that carries the run's uuid; of several, of the one in whose line the session is.

    A cancelled one takes no more sessions, so it is never the answer to a registration that is to be repeated.
    """
    found = []
    for model in models:
        if _carries(model, run_uuid) and model.get("status") != "cancelled":
            found.append(model)
            theirs = Session.of(model)
            if session is None or theirs is None or session.is_of_line(theirs):
                return _ids_of(model)
    return _ids_of(found[0]) if found else None


def _ids_of(model: Mapping[str, Any]) -> dict[str, Any]:
    slug = {"modelSlug": model["model"]} if is_id(model.get("model")) else {}
    return {"modelId": model["id"], **slug, **_newest_run(model)}


def _resumed(
    models: Iterable[Mapping[str, Any]], ids: Mapping[str, Any], session: Session | None
) -> dict[str, Any] | None:
    """Return the id of a run that the known model has got beyond the known one, unless that is another session's.

    Only a platform that lists run ids, as numbers, can tell. On another one the session becomes one run more of the
    same model, which does no harm: epochs and console text belong to the model.
    """
    known = ids.get("runId", 0)
    for model in models:
        newest, theirs = _newest_run(model), Session.of(model)
        if theirs is not None and session is not None and theirs != session:
            continue
        if model["id"] == ids["modelId"] and newest and isinstance(known, int) and newest["runId"] > known:
            return newest
    return None


def _newest_run(model: Mapping[str, Any]) -> dict[str, int]:
    listed = model.get("runIds")
    runs = [each for each in listed if isinstance(each, int)] if isinstance(listed, list) else []
    return {"runId": max(runs)} if runs else {}


def _models(api: JsonApi, project: str) -> Iterator[dict[str, Any]]:
    hidden: Forbidden | None = None
    for owner, name in _places(api, project):
        try:
            yield from _listed(api, f"{MODELS}/{quote(owner, safe='')}/{quote(name, safe='')}")
        except Forbidden as error:  # what may not be read may be there, unless it turns out to be in the other place
            hidden = error
    if hidden is not None:
        raise hidden


def _listed(api: JsonApi, path: str) -> Iterator[dict[str, Any]]:
    models = _read(partial(api.newest, path, _NEWEST, _LONGEST_LIST), "models", list)
    yield from (each for each in models or () if isinstance(each, dict) and is_id(each.get("id")))


def _places(api: JsonApi, project: str) -> Iterator[tuple[str, str]]:
    """Yield the (owner, project) pairs that a training's `project` may stand for; only the platform knows its users."""
    owner, slash, name = project.partition("/")
    if slash:
        yield owner.lower(), name
    user = api.known.get(ACCOUNT) or _read(partial(api.get, ACCOUNT), "username", str)
    if user is not None:
        api.known[ACCOUNT] = user
        yield user, project.replace("/", "-")


def _read(ask: Callable[[], dict[str, Any]], field: str, kind: type[Value]) -> Value | None:
    """Return a field of an answer; None for what is not there, or not on a server of this age.

    Raises:
        DeliveryError: There is no answer now, or one without the field: then nothing is known.
    """
    try:
        answer = ask()
    except Forbidden:
        raise
    except Refused:
        return None
    if not isinstance(value := answer.get(field), kind):
        raise Transient(f"the platform answered without its {field}{said(answer)}", status=200)
    return value
