"""What a drain finds in the way of a whole destination stays in the journal until something arrives there."""

from __future__ import annotations

from queue import SimpleQueue

import pytest
from support.journals import change, rows, url_of
from support.recordings import KEY, Recordings
from support.scripted_server import Reply, Request, ScriptedServer, free_port, received
from support.settings import settings

from journal.doctor import examine, examine_shared
from journal.doctor.findings import Finding
from journal.outbox.obstacles import Obstacle
from uploader.delivery.timing import Timing
from uploader.reports.journal_status import RunStatus, status
from uploader.settings import Settings

ON_BOTH_ENGINES = True
REFUSED = Reply(401, {"error": "no such key"})
QUICK = Timing(first_wait=0.01, reread=0.0, reopen=600.0)


def run(journals: Recordings) -> RunStatus:
    [found] = status(journals.journal.place).runs
    return found


def obstacle(journals: Recordings) -> Obstacle | None:
    [target] = run(journals).targets
    return target.obstacle


def findings(journals: Recordings) -> dict[str, Finding]:
    opened = journals.journal
    examined = examine_shared(url_of(opened)) if opened.is_shared else examine(opened.path)
    return {one.code: one for one in examined.findings}


def test_a_refused_key_is_trouble_until_something_arrives(journals: Recordings, server: ScriptedServer) -> None:
    journals.whole()
    server.script = lambda _: REFUSED
    assert journals.drain(server.url).exit_code == 5
    found = obstacle(journals)
    assert found is not None
    assert (found.cause, run(journals).standing) == ("key refused", "trouble")
    assert "no such key" in found.reason
    assert found.since == found.at
    trouble = findings(journals)["key-refused"]
    assert trouble.weight == "trouble"
    assert f"1 run waits for {server.url}: key refused since {found.since}" in trouble.detail
    assert "drain" in trouble.next_step
    assert journals.drain(server.url).exit_code == 5
    again = obstacle(journals)
    assert again is not None
    assert again.since == found.since  # the same thing, found twice
    server.script = received
    assert journals.drain(server.url).exit_code == 0
    assert (obstacle(journals), run(journals).standing) == (None, "delivered")
    assert rows(journals.journal.path, "SELECT * FROM facts WHERE name LIKE 'obstacle%'") == []
    assert not findings(journals)


def test_the_first_delivery_removes_it_though_more_waits(journals: Recordings, server: ScriptedServer) -> None:
    journals.whole()
    server.script = lambda _: REFUSED
    journals.drain(server.url)

    def script(request: Request) -> Reply:
        is_start = request.method == "POST" and request.json().get("event") == "training_started"
        return received(request) if is_start else Reply(503, {"error": "later"})

    server.script = script
    journals.drain(server.url, timing=Timing(first_wait=1000.0))
    found = obstacle(journals)
    assert found is None or found.cause == "away"  # by how many answers came before the end
    assert run(journals).standing == "waiting"


def test_a_platform_that_is_away_is_trouble_only_after_long(journals: Recordings) -> None:
    journals.whole()
    address = f"http://127.0.0.1:{free_port()}"
    assert journals.drain(address).exit_code == 3
    found = obstacle(journals)
    assert found is not None
    assert (found.cause, run(journals).standing) == ("away", "waiting")
    assert "Connection refused" in found.reason
    assert findings(journals)["away"].weight == "notice"
    long_ago = "UPDATE facts SET value = replace(value, ?, ?) WHERE name LIKE 'obstacle%'"
    change(journals.journal.path, long_ago, found.since, "2026-01-01T00:00:00.000000Z")
    assert journals.drain(address).exit_code == 3
    assert run(journals).standing == "trouble"
    assert findings(journals)["away"].weight == "trouble"


def test_one_that_answers_later_to_all_is_away(journals: Recordings, server: ScriptedServer) -> None:
    journals.whole()
    server.script = lambda _: Reply(503, {"error": "we are moving"})
    assert journals.drain(server.url, timing=Timing(first_wait=1000.0)).exit_code == 3
    found = obstacle(journals)
    assert found is not None
    assert found.cause == "away"
    assert "we are moving" in found.reason


def test_that_there_is_no_key_is_trouble_once_a_drain_has_looked(journals: Recordings) -> None:
    training = journals.whole()
    journals.writer.route(training.run.id, "ultralytics", "http://127.0.0.1:9")
    assert run(journals).standing == "waiting"
    assert journals.drain("http://127.0.0.1:9", api_key=None).exit_code == 5
    found = obstacle(journals)
    assert found is not None
    assert (found.cause, run(journals).standing) == ("no key", "trouble")
    assert findings(journals)["no-key"].weight == "trouble"


def test_a_drain_that_goes_on_tells_it_meanwhile(journals: Recordings, server: ScriptedServer) -> None:
    journals.whole()
    server.script = lambda _: REFUSED
    seen: SimpleQueue[Obstacle] = SimpleQueue()

    def looked() -> Settings:  # it is asked again and again while the key is refused
        if found := obstacle(journals):
            seen.put(found)
        return settings(KEY, server.url)

    with journals.draining(server.url, watch=True, timing=QUICK, reread=looked):
        assert seen.get(timeout=100).cause == "key refused"


@pytest.mark.once_on_postgres
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE targets SET dropped_at = '2026-01-01T00:00:00.000000Z'",
        "UPDATE facts SET value = 'nonsense' WHERE name LIKE 'obstacle%'",
        "UPDATE facts SET name = 'obstacle there' WHERE name LIKE 'obstacle%'",
    ],
)
def test_it_is_in_the_way_of_nothing_that_was_dropped_and_must_be_legible(
    journals: Recordings, server: ScriptedServer, statement: str
) -> None:
    journals.whole()
    server.script = lambda _: REFUSED
    journals.drain(server.url)
    assert "key-refused" in findings(journals)
    change(journals.journal.path, statement)
    assert obstacle(journals) is None
    assert run(journals).standing != "trouble"
    assert "key-refused" not in findings(journals)
