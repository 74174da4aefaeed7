"""Finds out, by reading the platform, whether an earlier attempt at a registration arrived.

The platform has no idempotency keys. When the answer to a `training_started` was lost, sending it again could make a
second model. So before that, the models of the project are read: the run's uuid travels in `environment`.

This cannot see a request that was still on its way and is handled after the reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

from uploader.errors import Forbidden, ReadRefused, Refused, Transient
from uploader.platforms.answers import is_id, server_message
from uploader.platforms.base import RunIdentity
from uploader.platforms.http.json_api import JsonApi
from uploader.platforms.session_lineage import ReportedSession

ACCOUNT = "/api/account/summary"
MODELS = "/api/models"
Value = TypeVar("Value")

_NO_SUCH_PATH = frozenset({404, 405})
_NEWEST = 50
"""How many models of a project are read: the one that is looked for was registered a moment ago."""
_LONGEST_LIST = 64 * 1024 * 1024  # bytes; each model comes with all its epochs and console text


def find_registration(
    api: JsonApi, identity: RunIdentity, session: ReportedSession | None = None, *, is_first: bool = False
) -> dict[str, Any] | None:
    """Return the ids that an earlier attempt at this registration received, or None if none arrived.

    Args:
        api: The platform's endpoints.
        identity: The run; with ids when it is a session of a run that the platform knows.
        session: The session, if the registration names it.
        is_first: Whether it is the run's first session.

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
    ids_in = partial(_new, run_uuid=identity.run_uuid, session=session, is_first=is_first)
    return ids_in(found) or _moved(api, identity, ids_in)


def _moved(
    api: JsonApi, identity: RunIdentity, ids_in: Callable[[Iterable[Mapping[str, Any]]], dict[str, Any] | None]
) -> dict[str, Any] | None:
    """Look in the run's former projects; one that may not be read cannot have taken it."""
    for project in {*identity.former_projects} - {identity.project}:
        with suppress(Forbidden):
            if found := ids_in(_models(api, project)):
                return found
    return None


def find_session(api: JsonApi, identity: RunIdentity, session: ReportedSession) -> dict[str, Any] | None:
    """Return the ids of the model whose newest session is this one, or None when there is none.

    Raises:
        DeliveryError: The platform could not be read now.
    """
    found = (model for model in _models(api, identity.project) if ReportedSession.of(model) == session)
    return next((_ids_of(model) for model in found), None)


def newest_session(api: JsonApi, identity: RunIdentity) -> ReportedSession | None:
    """Return the newest session of a known model; None when it names none, or cannot be read.

    A page or an empty answer that says that there is no such path counts as unreadable: an older platform's web server
    answers so, and waiting for another answer would hold up each resumed training forever.

    Raises:
        DeliveryError: The platform could not be read now.
    """
    try:
        return next((ReportedSession.of(model) for model in _named(api, identity)), None)
    except (Forbidden, ReadRefused):
        return None
    except Transient as error:
        if error.status == 200 or error.status in _NO_SUCH_PATH:  # no answer that tells it, nor would another one
            return None
        raise


def find_model(api: JsonApi, identity: RunIdentity) -> Mapping[str, Any] | None:
    """Return the platform's model of a run, whether its id is known here or not; None if it has none, or cannot tell.

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


def epochs_there(api: JsonApi, identity: RunIdentity) -> Mapping[int, Mapping[str, Any]] | None:
    """Return the metrics of the epochs that a known model has, by number; None if the platform cannot tell.

    Raises:
        DeliveryError: The platform could not be read now.
    """
    try:
        model = next(_named(api, identity), None)
    except (Forbidden, ReadRefused):
        return None
    except Transient as error:
        if error.status == 200 or error.status in _NO_SUCH_PATH:  # no answer that tells it, nor would another one
            return None
        raise
    results = model.get("trainResults") if model else None
    epochs = [each for each in results if isinstance(each, dict)] if isinstance(results, list) else []
    return {each["epoch"]: _metrics(each) for each in epochs if isinstance(each.get("epoch"), int)}


def _metrics(epoch: Mapping[str, Any]) -> Mapping[str, Any]:
    metrics = epoch.get("metrics")
    return metrics if isinstance(metrics, dict) else epoch


def _carries(model: Mapping[str, Any], run_uuid: str) -> bool:
    environment = model.get("environment")
    return isinstance(environment, dict) and environment.get("uploaderRun") == run_uuid


def _named(api: JsonApi, identity: RunIdentity) -> Iterator[Mapping[str, Any]]:
    """Yield the known model, read by its name if that is known: that is much less to read."""
    slug, model_id = identity.ids.get("modelSlug"), identity.ids["modelId"]
    for owner, name in places(api, identity.project):
        path = "/".join(quote(part, safe="") for part in (owner, name, str(slug or "")))
        model = _read(partial(api.get, f"{MODELS}/{path}", longest=_LONGEST_LIST), "model", dict) if slug else None
        found = [model or {}] if slug else _listed(api, f"{MODELS}/{path.rstrip('/')}")
        yield from (each for each in found if each.get("id") == model_id)


def _new(
    models: Iterable[Mapping[str, Any]], run_uuid: str, session: ReportedSession | None, *, is_first: bool
) -> dict[str, Any] | None:
    """Return the ids of the model that carries the run's uuid; of several, the one whose lineage the session is in.

    A cancelled model takes no more sessions, so it is the result of the registration only if it has that very session.
    """
    found, cancelled = [], []
    for model in models:
        if not _carries(model, run_uuid):
            continue
        theirs = ReportedSession.of(model)
        if model.get("status") == "cancelled":
            cancelled += [model] if _is_same(theirs, session, is_first=is_first) else []
            continue
        found.append(model)
        if session is None or theirs is None or session.is_of_line(theirs):
            return _ids_of(model)
    return next(map(_ids_of, [*found, *cancelled]), None)


def _is_same(theirs: ReportedSession | None, ours: ReportedSession | None, *, is_first: bool) -> bool:
    """Return whether a model's session is the one that registers.

    Sessions of other training loops than Ultralytics' have no names. Before a run's first one there is none that a
    model could be of; whether a model is of a later one or of one before it, nothing tells.
    """
    if theirs is None or ours is None:
        return is_first and theirs is ours
    return theirs.uuid == ours.uuid


def _ids_of(model: Mapping[str, Any]) -> dict[str, Any]:
    slug = {"modelSlug": model["model"]} if is_id(model.get("model")) else {}
    return {"modelId": model["id"], **slug, **_newest_run(model)}


def _resumed(
    models: Iterable[Mapping[str, Any]], ids: Mapping[str, Any], session: ReportedSession | None
) -> dict[str, Any] | None:
    """Return the id of a run that the known model has received after the known one, unless it is another session's.

    Only a platform that lists run ids as numbers can tell. Elsewhere the session becomes one more run of the same
    model, which does no harm: epochs and console text belong to the model.
    """
    known = ids.get("runId", 0)
    for model in models:
        newest, theirs = _newest_run(model), ReportedSession.of(model)
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
    for owner, name in places(api, project):
        try:
            yield from _listed(api, f"{MODELS}/{quote(owner, safe='')}/{quote(name, safe='')}")
        except Forbidden as error:  # what may not be read may be there, unless it turns out to be in the other place
            hidden = error
    if hidden is not None:
        raise hidden


def _listed(api: JsonApi, path: str) -> Iterator[dict[str, Any]]:
    models = _read(partial(api.newest, path, _NEWEST, _LONGEST_LIST), "models", list)
    yield from (each for each in models or () if isinstance(each, dict) and is_id(each.get("id")))


def places(api: JsonApi, project: str) -> Iterator[tuple[str, str]]:
    """Yield the (owner, project) pairs that a training's `project` may mean; only the platform knows its users."""
    owner, slash, name = project.partition("/")
    if slash:
        yield owner.lower(), name
    user = api.known.get(ACCOUNT) or _read(partial(api.get, ACCOUNT), "username", str)
    if user is not None:
        api.known[ACCOUNT] = user
        yield user, project.replace("/", "-")


def _read(ask: Callable[[], dict[str, Any]], field: str, kind: type[Value]) -> Value | None:
    """Return a field of an answer; None for what does not exist, or not on a server of this age.

    Raises:
        DeliveryError: There is no answer now, or it lacks the field, so nothing is known.
    """
    try:
        answer = ask()
    except Forbidden:
        raise
    except Refused:
        return None
    if not isinstance(value := answer.get(field), kind):
        raise Transient(f"the platform answered without its {field}{server_message(answer)}", status=200)
    return value
