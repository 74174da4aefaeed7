"""What sending again does not put right is named as such, and not sent once more."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
import requests
from support.journals import rows
from support.recordings import Recordings
from support.scripted_server import Reply, Request, scripted_server
from support.verified import said, trained, verified

from uploader.server.running import RunningServer
from uploader.verification.runs import send_again
from uploader.verification.verifying import Verified

ON_BOTH_ENGINES = True
UNCHANGED = "; it was sent again, and that has not changed it"


def left(one: Verified) -> list[str]:
    assert one.again is not None
    return [item.finding().item for item in one.again.left]


def test_text_that_was_joined_and_is_there_in_part_a_second_time_is_sent_again_once(
    journals: Recordings, server: RunningServer
) -> None:
    """Chunk 5 was sent as a part of chunk 4; under its own id the platform has what it has of chunk 4."""
    trained(journals)
    assert journals.drain(server.url).exit_code == 0
    with closing(sqlite3.connect(server.data / "platform.db")) as store, store:
        columns = [name for _, name, *_ in store.execute("PRAGMA table_info(console)") if name != "chunk_id"]
        listed = ", ".join(columns)
        store.execute(f"INSERT INTO console (chunk_id, {listed}) SELECT 5, {listed} FROM console WHERE chunk_id = 4")
    for sent in (2, 0, 0):
        [found] = verified(journals, server.url)
        assert [item for item, *_ in said(found)] == ["console chunk 4", "console chunk 5"]
        assert len(left(found)) == 2 - sent
        assert send_again(journals.journal, found) == sent
        assert journals.drain(server.url).exit_code == 0


class Keeping:
    """What stands before a platform that takes what it is sent and shows something else.

    Attributes:
        change: Changes the model that it shows.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.change: Callable[[dict[str, Any]], None] = lambda _: None

    def keep(self, epochs: int) -> None:
        """Go on showing a training of so many epochs."""
        self.change = lambda model: model.update(epochs=epochs)

    def __call__(self, request: Request) -> Reply:
        passed = ("authorization", "content-type", "uploader-times")
        headers = {name: request.headers[name] for name in passed if name in request.headers}
        url = self.url + request.path
        answer = requests.request(request.method, url, data=request.body, headers=headers, timeout=100)
        shown = answer.json()
        if "model" in shown:
            self.change(shown["model"])
        return Reply(answer.status_code, json.dumps(shown).encode())


@pytest.fixture
def keeping(server: RunningServer) -> Keeping:
    return Keeping(server.url)


def test_a_run_that_was_cancelled_there_after_its_end_had_arrived_stays_so(
    journals: Recordings, server: RunningServer
) -> None:
    """The platform tells whatever is sent again that it is cancelled; the training was not, which was over by then."""
    trained(journals)
    assert journals.drain(server.url).exit_code == 0
    with closing(sqlite3.connect(server.data / "platform.db")) as store, store:
        store.execute("UPDATE models SET status = 'cancelled'")
    for resent, more in ((1, ""), (0, UNCHANGED), (0, UNCHANGED)):
        [found] = verified(journals, server.url)
        [(item, word, why)] = said(found)
        assert (item, word, why.startswith("status is cancelled there")) == ("completion", "different", True)
        assert why.endswith(more)
        assert send_again(journals.journal, found) == resent
        assert journals.drain(server.url).exit_code == 0
    assert rows(journals.journal.path, "SELECT kind FROM signals WHERE kind = 'cancelled'") == [("cancelled",)]
    journals.journal.resend(found.target.run.id, found.target.destination.id)
    assert journals.drain(server.url).exit_code == 0
    assert [item for item, *_ in said(verified(journals, server.url)[0])] == ["completion"]


def test_what_is_there_twice_is_not_sent_again(journals: Recordings, keeping: Keeping) -> None:
    def doubled(model: dict[str, Any]) -> None:
        for name in ("trainResults", "consoleChunks"):
            model[name] += model[name][1:2]

    trained(journals)
    keeping.change = doubled
    with scripted_server(keeping) as public:
        assert journals.drain(public.url).exit_code == 0
        for _ in range(2):
            [found] = verified(journals, public.url)
            assert [why for *_, why in said(found)] == ["it is there 2 times, and no message takes one away"] * 2
            assert left(found) == [item for item, *_ in said(found)]
            assert send_again(journals.journal, found) == 0


def test_what_stays_as_it_was_when_it_was_sent_again_is_not_sent_once_more(
    journals: Recordings, keeping: Keeping
) -> None:
    trained(journals)
    keeping.keep(99)
    with scripted_server(keeping) as public:
        assert journals.drain(public.url).exit_code == 0
        [found] = verified(journals, public.url)
        [(item, word, why)] = said(found)
        assert (send_again(journals.journal, found), left(found)) == (1, [])
        assert journals.drain(public.url).exit_code == 0
        for _ in range(3):  # however often it is looked at
            [again] = verified(journals, public.url)
            assert said(again) == [(item, word, why + UNCHANGED)]
            assert (send_again(journals.journal, again), left(again)) == (0, [item])

        keeping.keep(98)  # another difference is worth another attempt
        [other] = verified(journals, public.url)
        assert (send_again(journals.journal, other), left(other)) == (1, [])
        keeping.keep(4)
        assert journals.drain(public.url).exit_code == 0
        assert said(verified(journals, public.url)[0]) == []
        keeping.keep(98)
        verified(journals, public.url)
        [returned] = verified(journals, public.url)  # and so is one that had been put right
        assert (send_again(journals.journal, returned), left(returned)) == (1, [])


def test_what_is_otherwise_than_before_it_was_sent_again_is_sent_once_more(
    journals: Recordings, keeping: Keeping
) -> None:
    trained(journals)
    keeping.keep(99)
    with scripted_server(keeping) as public:
        assert journals.drain(public.url).exit_code == 0
        send_again(journals.journal, verified(journals, public.url)[0])
        assert journals.drain(public.url).exit_code == 0
        keeping.keep(98)
        [other] = verified(journals, public.url)
        assert (send_again(journals.journal, other), left(other)) == (1, [])
