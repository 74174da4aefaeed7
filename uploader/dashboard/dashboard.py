"""One dashboard, as its routes find it: what it shows, and how its pages are reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request

from uploader.dashboard.run_source import RunSource


@dataclass(frozen=True)
class Dashboard:
    """One dashboard.

    Attributes:
        source: Who knows the runs.
        prefix: Returns the path prefix by which the client of a request reaches the pages, or an empty text.
        is_ending: Whether the server is about to end, so that streams of events should.
    """

    source: RunSource
    prefix: Callable[[Request], str] = lambda _: ""
    is_ending: Callable[[], bool] = lambda: False


def dashboard_of(request: Request) -> Dashboard:
    """Return the dashboard that a request is for."""
    found: Dashboard = request.app.state.dashboard
    return found
