"""Pages that are open: they hold connections, and keep nobody out, neither trainings nor the end of the server."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import Path

import requests
from support.journals import until
from support.platform_api import Api

from uploader.server.limits import Limits
from uploader.server.running import running

HOURS = 3600


def follow(url: str) -> requests.Response:
    """Open a stream of what is new in the list."""
    return requests.get(f"{url}/data/events", {"runs": ""}, stream=True, timeout=60)


def test_there_are_only_so_many_and_a_training_is_never_refused_for_them(tmp_path: Path) -> None:
    with running(tmp_path, api_key="k", limits=Limits(connections=3, streams=4)) as server, ExitStack() as pages:
        followed = [pages.enter_context(follow(server.url)) for _ in range(4)]
        assert [each.status_code for each in followed] == [200] * 4
        with follow(server.url) as refused:
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
        Api(server.url, "k").start()


def test_who_asks_for_the_head_alone_holds_nothing(tmp_path: Path) -> None:
    with (
        running(tmp_path, api_key="k", limits=Limits(streams=1, viewing=HOURS)) as server,
        requests.Session() as session,
    ):
        for _ in range(3):
            head = session.head(f"{server.url}/data/events?runs=", timeout=60)
            assert (head.status_code, head.headers["Content-Type"][:17]) == (200, "text/event-stream")


def test_a_page_that_has_gone_is_noticed(tmp_path: Path) -> None:
    def is_followed() -> bool:
        with follow(server.url) as followed:
            return followed.status_code == 200 and next(followed.iter_lines(chunk_size=1)) == b"retry: 2000"

    with running(tmp_path, api_key="k", limits=Limits(streams=1)) as server:
        for _ in range(3):
            until(is_followed)


def test_they_end_with_the_server_and_are_not_cut_off(tmp_path: Path) -> None:
    with running(tmp_path, api_key="k") as server:
        followed = follow(server.url)
        Api(server.url, "k").start()
        lines = followed.iter_lines(chunk_size=1)
        assert b"event: runs" in (next(lines) for _ in range(9))
    with followed:
        list(lines)  # raises if it was cut off, which the server does after some time


def test_what_browsers_keep_open_after_a_page_is_closed_soon(tmp_path: Path) -> None:
    """A page needs several connections, and browsers keep them for the next one."""
    limits = Limits(connections=3, streams=0, viewing=0, idle=HOURS)
    with running(tmp_path, api_key="k", limits=limits) as server, ExitStack() as browsers:

        def is_answered(session: requests.Session, path: str) -> bool:
            with suppress(requests.ConnectionError):  # it was closed just when it was to be used again
                return session.get(server.url + path, headers={"x-api-key": "k"}, timeout=60).status_code == 200
            return False

        for _ in range(4):
            browser = browsers.enter_context(requests.Session())
            until(lambda session=browser: is_answered(session, "/data/runs"))  # type: ignore[misc]
        training = browsers.enter_context(requests.Session())
        until(lambda: is_answered(training, "/api/account/summary"))
