"""What is new, as server-sent events: each page that is open is told what it has not got yet, and nothing twice.

An event's id holds the cursors of what the page was told since it asked; of all else, those with which it asked hold. A
browser that lost the connection sends the last id again (`Last-Event-ID`), and so goes on where it was.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from uploader.dashboard import page_json
from uploader.dashboard.dashboard import Dashboard, dashboard_of
from uploader.dashboard.kept_news import news_of_runs
from uploader.dashboard.run_source import RunSource, SourceUnavailable
from uploader.dashboard.shown import RunNews

_LIST = ""  # the key under which the list's cursor stands
_RETRY = 5  # seconds after which somebody else may have closed a page
_PAUSE = 0.5  # seconds between two looks
_IDLE_LOOKS = 30  # so many without anything new, and a comment keeps proxies from closing the connection


async def events(request: Request) -> Response:
    """Stream what is new of the list of runs (`runs=CURSOR`), and of runs (`key=` and `since=`, in pairs).

    With `curves`, only what a comparison shows.
    """
    return _EventStream(dashboard_of(request), _asked(request), _told(request), "curves" in request.query_params)


class _EventStream(StreamingResponse):
    """A stream of events, or 503 where as many are open as may be."""

    def __init__(self, dashboard: Dashboard, asked: dict[str, str], told: dict[str, str], are_curves: bool) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(_stream(dashboard, asked, told, are_curves), 200, headers, "text/event-stream")
        self._streams = dashboard.streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the server ends or the client goes away."""
        if scope["method"] == "HEAD":  # which has no body, and so no end
            await Response(headers=dict(self.headers))(scope, receive, send)
            return
        with self._streams.one() as is_free:
            await (super().__call__(scope, receive, send) if is_free else _busy()(scope, receive, send))


def look(source: RunSource, cursors: dict[str, str], are_curves: bool = False) -> list[tuple[str, dict[str, Any]]]:
    """Return what is new, by the name of its event, and move the cursors on; of runs, perhaps only of curves.

    Raises:
        SourceUnavailable: Nothing can be read; the cursors stay, so that nothing is passed over.
    """
    found: list[tuple[str, dict[str, Any]]] = []
    moved = dict(cursors)
    if (since := cursors.get(_LIST)) is not None:
        changed = source.runs(since)
        if changed.runs or changed.gone or changed.is_whole:
            found.append(("runs", page_json.run_changes(changed)))
        moved[_LIST] = changed.cursor
    followed = {key: cursor for key, cursor in cursors.items() if key != _LIST}
    read = source.curve_news(followed) if are_curves else news_of_runs(source, followed)
    for key in followed:
        found.extend(_run_news(read.get(key), moved, key))
    cursors.clear()
    cursors.update(moved)
    return found


def _run_news(told: RunNews | None, cursors: dict[str, str], key: str) -> list[tuple[str, dict[str, Any]]]:
    if told is None:
        del cursors[key]
        return [("gone", {"key": key})]
    cursors[key] = told.cursor
    new = page_json.change(told)
    return [("run", {"key": key, **new})] if len(new) > 1 else []  # more than its cursor


async def _stream(
    dashboard: Dashboard, asked: dict[str, str], told: dict[str, str], are_curves: bool
) -> AsyncIterator[bytes]:
    yield b"retry: 2000\n\n"
    cursors = {**asked, **told}
    idle, trouble = 0, ""
    while not dashboard.is_ending():
        found, before = [], trouble
        try:
            found, trouble = await run_in_threadpool(look, dashboard.source, cursors, are_curves), ""
        except SourceUnavailable as error:
            trouble = str(error)
        if trouble != before:  # once as it begins, and once, without words, when it is over
            found = [("trouble", {"error": trouble}), *found]
        for name, value in found:
            if "cursor" in value:
                told[value.get("key", _LIST)] = value["cursor"]
            yield _event(name, value, told)
        idle = 0 if found else idle + 1
        if idle >= _IDLE_LOOKS:
            yield b": still here\n\n"
            idle = 0
        await asyncio.sleep(_PAUSE)


def _busy() -> Response:
    text = "As many pages are followed as this server allows: close some, or try again\n"
    return PlainTextResponse(text, 503, {"Retry-After": str(_RETRY)})


def _event(name: str, value: dict[str, Any], told: Mapping[str, str]) -> bytes:
    return b"event: %s\nid: %s\ndata: %s\n\n" % (name.encode(), page_json.as_json(told), page_json.as_json(value))


def _told(request: Request) -> dict[str, str]:
    """Return the cursors that a browser comes back with, of what it was told before it lost the connection."""
    try:
        known = json.loads(request.headers.get("last-event-id", ""))
        return {str(key): str(since) for key, since in known.items()}
    except (ValueError, AttributeError):
        return {}


def _asked(request: Request) -> dict[str, str]:
    """Return the cursors that the page began with; the last one of a run counts."""
    asked = request.query_params
    pairs = zip(asked.getlist("key"), asked.getlist("since"), strict=False)
    return {**({_LIST: asked["runs"]} if "runs" in asked else {}), **dict(pairs)}
