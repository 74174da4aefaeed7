"""What the pages' scripts ask for: JSON, text and files."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, get_args

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from uploader.dashboard import page_json
from uploader.dashboard.dashboard import dashboard_of
from uploader.dashboard.event_stream import events
from uploader.dashboard.run_source import Refused, SourceUnavailable, UnknownRun
from uploader.dashboard.shown import Action, Download

_Asked = ParamSpec("_Asked")
_FRESH = {"Cache-Control": "no-store"}
_MAX_KEYS = 200
_MOST_BODY = 256 * 1024
_ACTIONS: dict[str, Action] = {name: name for name in get_args(Action)}


def _answers_errors(endpoint: Callable[_Asked, Response]) -> Callable[_Asked, Response]:
    """Make an endpoint answer 404 where there is no such run, and 503 where none can be read."""

    @wraps(endpoint)
    def answering(*asked: _Asked.args, **named: _Asked.kwargs) -> Response:
        try:
            return endpoint(*asked, **named)
        except UnknownRun as error:
            return _json({"error": str(error)}, 404)
        except SourceUnavailable as error:
            return _json({"error": str(error)}, 503)

    return answering


@_answers_errors
def run_list(request: Request) -> Response:
    """Return the list of runs."""
    return _json(page_json.run_list(dashboard_of(request).source.runs()))


@_answers_errors
def trends(request: Request) -> Response:
    """Return how the main metric of some runs went."""
    found = dashboard_of(request).source.trends(request.query_params.getlist("key")[:_MAX_KEYS])
    return _json({key: {"metric": each.metric, "values": list(each.values)} for key, each in found.items()})


@_answers_errors
def run(request: Request) -> Response:
    """Return all that a run's page tells, except pictures and the beginning of its console; `since=`: what is new."""
    found = dashboard_of(request).source.news(_key(request), request.query_params.get("since"))
    return _json(page_json.news(found))


@_answers_errors
def curves(request: Request) -> Response:
    """Return what a comparison shows of runs, with their first curves; or some `metric`s alone, or their `times`."""
    dashboard, query = dashboard_of(request), request.query_params
    found = dashboard.kept.of(dashboard.source, query.getlist("key")[:_MAX_KEYS])
    asked, times = query.getlist("metric"), "times" in query
    if not asked and not times:
        return _json({key: page_json.first_curves(each) for key, each in found.items()})
    return _json({key: page_json.some_curves(each, asked, times=times) for key, each in found.items()})


@_answers_errors
def pictures(request: Request) -> Response:
    """Return its plots and images."""
    return _json(page_json.pictures(dashboard_of(request).source.pictures(_key(request))))


@_answers_errors
def console(request: Request) -> Response:
    """Return all that it printed, as text."""
    parts = dashboard_of(request).source.console(_key(request))
    return StreamingResponse((part.encode("utf-8", "replace") for part in parts), 200, _FRESH, "text/plain")


@_answers_errors
def checkpoint(request: Request) -> Response:
    """Return one of its checkpoints."""
    return _download(*dashboard_of(request).source.checkpoint(_key(request), request.query_params.get("sha256", "")))


@_answers_errors
def archive(request: Request) -> Response:
    """Return all that is known of it, in one file."""
    return _download(*dashboard_of(request).source.archive(_key(request)))


async def act(request: Request) -> Response:
    """Do something to a run.

    Only JSON is taken: a page of another site could have a browser send text, without this server being asked before.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return _json({"error": "The body must be sent as application/json"}, 415)
    try:
        wanted = json.loads(await _body(request))
        key, action, value = str(wanted["key"]), _ACTIONS[wanted["action"]], wanted.get("value")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        forms = "|".join(_ACTIONS)
        return _json({"error": f'The body is JSON: {{"key": …, "action": "{forms}", "value": …}}'}, 400)
    return await run_in_threadpool(_act, request, key, action, value)


@_answers_errors
def _act(request: Request, key: str, action: Action, value: Any) -> Response:
    try:
        dashboard_of(request).source.act(key, action, value)
    except Refused as error:
        return _json({"error": str(error)}, 409)
    return _json({})


routes = [
    Route("/data/runs", run_list, methods=["GET"]),
    Route("/data/trends", trends, methods=["GET"]),
    Route("/data/run", run, methods=["GET"]),
    Route("/data/curves", curves, methods=["GET"]),
    Route("/data/pictures", pictures, methods=["GET"]),
    Route("/data/console", console, methods=["GET"]),
    Route("/data/checkpoint", checkpoint, methods=["GET"]),
    Route("/data/archive", archive, methods=["GET"]),
    Route("/data/events", events, methods=["GET"]),
    Route("/data/act", act, methods=["POST"]),
]


async def _body(request: Request) -> bytes:
    """Return the body, as far as one is taken: of a longer one a beginning, which is no JSON."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _MOST_BODY:
            break
    return bytes(body[:_MOST_BODY])


def _key(request: Request) -> str:
    return request.query_params.get("key", "")


def _json(value: Any, status: int = 200) -> Response:
    return Response(page_json.as_json(value), status, _FRESH, "application/json")


def _download(file: Download, content: Any) -> Response:
    name = file.name.encode("ascii", "replace").decode().replace('"', "_").replace("\\", "_")
    headers = {**_FRESH, "Content-Disposition": f'attachment; filename="{name}"'}
    if file.size is not None:
        headers["Content-Length"] = str(file.size)
    return StreamingResponse(content, 200, headers, file.media_type)
