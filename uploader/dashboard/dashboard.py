"""One dashboard, as its routes find it: what it shows, and how its pages are reached."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from starlette.requests import Request

from uploader.dashboard.kept_news import KeptNews
from uploader.dashboard.run_source import RunSource


class Streams:
    """How many streams of events are open; each holds a connection. Used in one event loop only.

    Args:
        most: How many there may be.
    """

    def __init__(self, most: int = 64) -> None:
        self._most = most
        self._open = 0

    @contextmanager
    def one(self) -> Iterator[bool]:
        """Count one while the block runs; yield whether there is room for it."""
        is_free = self._open < self._most
        self._open += is_free
        try:
            yield is_free
        finally:
            self._open -= is_free


@dataclass(frozen=True)
class Dashboard:
    """One dashboard.

    Attributes:
        source: Who knows the runs.
        prefix: Returns the path prefix by which the client of a request reaches the pages, or an empty text.
        is_ending: Whether the server is about to end, so that streams of events should.
        streams: How many of them are open.
        kept: What was read of its runs lately, for comparisons.
    """

    source: RunSource
    prefix: Callable[[Request], str] = lambda _: ""
    is_ending: Callable[[], bool] = lambda: False
    streams: Streams = field(default_factory=Streams)
    kept: KeptNews = field(default_factory=KeptNews)


def dashboard_of(request: Request) -> Dashboard:
    """Return the dashboard that a request is for."""
    found: Dashboard = request.app.state.dashboard
    return found
