"""What was delivered from another copy of a journal counts here, is sent once, and nothing else counts for it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from support import canonical
from support.journals import rows
from support.recordings import Recordings, Training, recordings
from support.scripted_server import Reply, Request, ScriptedServer, hub_received, received, scripted_server

from journal.errors import DamagedResults
from journal.outbox import results_intake, run_results
from journal.outbox.backlog import Selection
from journal.outbox.outbox import Outbox
from journal.outbox.results_intake import ResultsTaken
from journal.outbox.run_results import Results

UNUSED = "http://127.0.0.1:9"


@contextmanager
def copied(home: Path, name: str) -> Iterator[Recordings]:
    """Copy a journal, and open the copy."""
    folder = home.parent / name
    shutil.copytree(home / "blobs", folder / "blobs")
    with closing(sqlite3.connect(home / "journal.db")) as live, closing(sqlite3.connect(folder / "journal.db")) as copy:
        live.backup(copy)
    with recordings(folder) as journals:
        yield journals


def told(journals: Recordings) -> list[Results]:
    """Return the results of a journal's runs, as they travel."""
    with closing(journals.journal.outbox()) as outbox:
        runs = [run.id for run in outbox.routes.runs()]
        with outbox.begin(read_only=True) as connection:
            found = [run_results.read(connection, run) for run in runs]
    return [Results.from_json(json.loads(json.dumps(one.to_json()))) for one in found]


def take_in(journals: Recordings, found: list[Results], **options: Any) -> list[ResultsTaken]:
    with closing(journals.journal.outbox()) as outbox, outbox.begin() as connection:
        return [results_intake.take_in(connection, one, **options) for one in found]


def change(journals: Recordings, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(journals.journal.database)) as connection, connection:
        connection.execute(statement, values)


def posts(server: ScriptedServer) -> list[tuple[str, Any]]:
    """Return what was sent: the event of each message, and the lines of console text."""
    sent = server.bodies("/training/metrics")
    return [(each["event"], each["data"].get("content")) for each in sent]


def unavailable(request: Request) -> Reply:
    """Register runs, and take nothing else."""
    is_start = request.method == "POST" and request.json().get("event") == "training_started"
    return received(request) if is_start else Reply(503, {"error": "later"})


def test_what_arrived_from_a_copy_is_not_sent_again(journals: Recordings, server: ScriptedServer) -> None:
    training = journals.whole()
    with copied(journals.journal.path, "copy") as copy:
        assert copy.drain(server.url).exit_code == 0
        sent = len(server.requests)
        [taken] = take_in(journals, told(copy))
        assert (taken.delivered, taken.refused) == (9, [])
        [target] = journals.journal.report()[0].targets
        assert (target.delivered, target.pending, target.unplanned) == (9, 0, 0)
        summary = journals.drain(server.url)
        assert (summary.exit_code, summary.destinations[0].delivered, len(server.requests)) == (0, 0, sent)
        assert canonical.export(journals.journal.path) == canonical.export(copy.journal.path)
    [(ids, state)] = rows(journals.journal.path, "SELECT ids, state FROM targets")
    assert (json.loads(ids)["modelId"], state) == ("m-1", "registered")
    training.epoch(9)
    assert journals.drain(server.url).destinations[0].delivered == 1
    assert server.bodies("/training/metrics")[-1]["modelId"] == "m-1"


def test_hub_is_sent_its_epochs_once(journals: Recordings, server: ScriptedServer) -> None:
    server.script = hub_received
    training = journals.begin()
    with closing(journals.journal.outbox()) as outbox:
        outbox.routes.add(training.run.id, outbox.routes.add_destination("hub", server.url).id)
    training.started()
    for number in range(5):
        training.epoch(number)
        training.console(number)
    training.checkpoint(b"weights")
    with copied(journals.journal.path, "copy") as copy:
        assert copy.drain(UNUSED, hub=server.url).exit_code == 0
        sent = len(server.requests)
        take_in(journals, told(copy))
    assert journals.drain(UNUSED, hub=server.url).exit_code == 0
    assert [one.path for one in server.requests[sent:] if one.method == "POST"] == []


def divided(journals: Recordings, server: ScriptedServer) -> Training:
    """Record console text that this journal has planned as 0, 1 to 2, and 3 to 5, and of which none but 0 arrived."""
    training = journals.begin()
    training.started()
    training.console(0)
    journals.drain(server.url)
    server.script = unavailable
    for numbers in (range(1, 3), range(3, 6)):
        for number in numbers:
            training.console(number)
        journals.drain(server.url, max_time=0.0)
    return training


@pytest.mark.parametrize("attempts", [0, 1])
def test_console_text_that_was_divided_otherwise_is_sent_once(
    journals: Recordings, server: ScriptedServer, attempts: int
) -> None:
    training = divided(journals, server)
    with copied(journals.journal.path, "copy") as copy:
        change(copy, "DELETE FROM attempts")
        change(copy, "DELETE FROM deliveries WHERE state = 'pending'")
        change(copy, "UPDATE targets SET planned_through = (SELECT min(id) + 1 FROM events)")
        server.script = received
        assert copy.drain(server.url).exit_code == 0
        change(journals, "UPDATE deliveries SET attempts = ? WHERE state = 'pending'", attempts)
        training.console(6)
        sent = len(posts(server))
        take_in(journals, told(copy))
        assert journals.drain(server.url).exit_code == 0
    assert posts(server)[sent:] == [("console_output", "line 6")]


def test_what_only_a_part_of_arrived_is_divided_again(journals: Recordings, server: ScriptedServer) -> None:
    """The copy has sent lines 1 to 3; here 3 to 5 wait together and were never tried."""
    divided(journals, server)
    refused = len(posts(server))
    with copied(journals.journal.path, "copy") as copy:
        change(copy, "DELETE FROM attempts")
        change(copy, "DELETE FROM deliveries WHERE state = 'pending'")
        change(copy, "DELETE FROM events WHERE key IN ('4', '5')")
        change(copy, "UPDATE targets SET planned_through = (SELECT min(id) + 1 FROM events)")
        server.script = received
        copy.drain(server.url)
        change(journals, "UPDATE deliveries SET attempts = 0 WHERE state = 'pending'")
        take_in(journals, told(copy))
        assert journals.drain(server.url).exit_code == 0
    lines = [content.split("\n") for event, content in posts(server)[refused:] if event == "console_output"]
    assert lines == [["line 1", "line 2", "line 3"], ["line 4", "line 5"]]


def lines_of(server: ScriptedServer, since: int) -> list[str]:
    """Return the lines of console text that were sent."""
    sent = [content for event, content in posts(server)[since:] if event == "console_output"]
    return [line for content in sent for line in content.split("\n")]


def test_what_is_divided_otherwise_is_neither_lost_nor_sent_twice_however_results_travel(
    journals: Recordings, server: ScriptedServer
) -> None:
    """The copy has sent lines 1 to 3; then it hears that 3 to 5 were planned together where it comes from."""
    divided(journals, server)
    with copied(journals.journal.path, "copy") as copy:
        change(journals, "UPDATE deliveries SET attempts = 0 WHERE state = 'pending'")
        change(copy, "DELETE FROM attempts")
        change(copy, "DELETE FROM deliveries WHERE state = 'pending'")
        events = rows(copy.journal.path, "SELECT * FROM events WHERE key IN ('4', '5')")
        change(copy, "DELETE FROM events WHERE key IN ('4', '5')")
        change(copy, "UPDATE targets SET planned_through = (SELECT min(id) + 1 FROM events)")
        server.script = received
        sent = len(posts(server))
        copy.drain(server.url)
        early = told(copy)
        for event in events:
            change(copy, f"INSERT INTO events VALUES ({', '.join('?' * len(event))})", *event)
        take_in(copy, told(journals))
        copy.drain(server.url)
        assert lines_of(server, sent) == [f"line {number}" for number in range(1, 6)]
        take_in(journals, early)  # and so divides its own otherwise
        take_in(copy, told(journals))
        take_in(journals, told(copy))
        for place in (copy, journals):
            assert place.drain(server.url).exit_code == 0
    assert len(lines_of(server, sent)) == 5


def test_what_was_forgotten_here_and_arrived_from_there_has_arrived(
    journals: Recordings, server: ScriptedServer
) -> None:
    journals.whole()
    with scripted_server(lambda _: Reply(503, {"error": "later"})) as away:
        journals.drain(away.url, max_time=0.0)
        with copied(journals.journal.path, "copy") as copy:
            for place in (journals, copy):
                change(place, "UPDATE deliveries SET attempts = 0")
            away.script = received
            copy.drain(away.url)
            change(journals, "UPDATE deliveries SET state = 'superseded', span = NULL WHERE kind = 'epoch_end'")
            before = rows(copy.journal.path, "SELECT state, span FROM deliveries")
            take_in(copy, told(journals))
            assert rows(copy.journal.path, "SELECT state, span FROM deliveries") == before
            take_in(journals, told(copy))
        assert rows(journals.journal.path, "SELECT DISTINCT state FROM deliveries") == [("delivered",)]
        sent = len(away.requests)
        assert (journals.drain(away.url).exit_code, len(away.requests)) == (0, sent)


def test_an_attempt_that_may_have_arrived_is_known_to_a_copy_that_knows_the_delivery(
    journals: Recordings, server: ScriptedServer
) -> None:
    """So it is looked for before the run is registered again."""
    training = journals.begin()
    training.started()
    server.script = lambda _: Reply(503, {"error": "later"})
    journals.drain(server.url, max_time=0.0)
    with copied(journals.journal.path, "copy") as copy:
        change(journals, "UPDATE deliveries SET attempts = 2")
        for _ in range(2):
            take_in(copy, told(journals))
            assert rows(copy.journal.path, "SELECT state, attempts FROM deliveries") == [("pending", 2)]
        change(journals, "UPDATE deliveries SET attempts = 1")
        take_in(copy, told(journals))
        assert rows(copy.journal.path, "SELECT attempts FROM deliveries") == [(2,)]


def test_an_altered_event_with_the_number_of_a_delivered_one_is_sent(
    journals: Recordings, server: ScriptedServer
) -> None:
    journals.whole()
    with copied(journals.journal.path, "copy") as copy:
        copy.drain(server.url)
        found = told(copy)
    change(journals, """UPDATE events SET payload = '{"epoch":1,"metrics":{"loss":7}}' WHERE kind = ? AND key = '1'""",
           "epoch_end")  # fmt: skip
    [taken] = take_in(journals, found)
    assert ["epoch_end" in why for why in taken.refused] == [True]
    sent = len(server.requests)
    assert journals.drain(server.url).exit_code == 0
    new = [request.json() for request in server.requests[sent:] if request.method == "POST"]
    assert [(each["event"], each["data"]["metrics"]) for each in new] == [("epoch_end", {"loss": 7})]


def test_what_went_to_another_address_or_model_does_not_count(
    journals: Recordings, server: ScriptedServer, tmp_path: Path
) -> None:
    training = journals.begin()
    training.started()
    training.epoch(0)
    with copied(journals.journal.path, "copy") as copy:
        copy.drain(server.url)
        found = told(copy)
    assert journals.drain(server.url).exit_code == 0
    change(journals, "UPDATE targets SET ids = ?", '{"modelId":"other"}')
    training.epoch(1)
    before = canonical.export(journals.journal.path)
    [taken] = take_in(journals, found)
    assert (taken.delivered, "is the model other" in taken.refused[0]) == (0, True)
    assert canonical.export(journals.journal.path) == before
    elsewhere = json.loads(json.dumps(found[0].to_json()).replace(server.url, "http://127.0.0.1:9"))
    with pytest.raises(DamagedResults):
        Results.from_json(elsewhere)


@pytest.mark.parametrize("path", [("run", "id"), ("targets", 0, "deliveries", 1, "body"), ("targets", 0, "state")])
def test_altered_results_are_refused(journals: Recordings, server: ScriptedServer, path: tuple[Any, ...]) -> None:
    journals.whole()
    journals.drain(server.url)
    values = json.loads(json.dumps(told(journals)[0].to_json()))
    place = values
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = "altered"
    with pytest.raises(DamagedResults):
        Results.from_json(values)


def test_a_run_that_is_sent_again_goes_whole_whatever_was_delivered_before(
    journals: Recordings, server: ScriptedServer
) -> None:
    training = journals.whole()
    with copied(journals.journal.path, "copy") as copy:
        copy.drain(server.url)
        found = told(copy)
        take_in(journals, found)
        journals.journal.resend(training.run.id, 1)
        take_in(journals, found)
        sent = len(posts(server))
        assert journals.drain(server.url).destinations[0].delivered == 9
        assert len(posts(server)) == sent + 9  # and the checkpoint's announcement
        take_in(copy, told(journals))
        sent = len(posts(server))
        assert copy.drain(server.url).destinations[0].delivered == 0
    assert len(posts(server)) == sent


def test_what_a_copy_was_asked_to_send_again_is_planned_here(journals: Recordings, server: ScriptedServer) -> None:
    training = journals.whole()
    journals.drain(server.url)
    with copied(journals.journal.path, "copy") as copy:
        copy.journal.resend(training.run.id, 1)
        take_in(journals, told(copy))
    assert journals.drain(server.url).destinations[0].delivered == 9


def test_in_any_order_and_twice_it_is_one_journal(journals: Recordings, server: ScriptedServer) -> None:
    """Results of one journal from three moments: of later ones something was refused, superseded and delivered."""
    training = journals.begin()
    training.started()
    journals.drain(server.url)
    moments = [told(journals)]
    server.script = unavailable
    for number in range(3):
        training.epoch(number)
        training.checkpoint(b"%d" % number, "last")
        training.console(number)
        journals.drain(server.url, max_time=0.0)
    moments.append(told(journals))
    server.script = lambda request: (
        Reply(422, {"error": "no"})
        if b'"epoch": 1' in request.body or b'"epoch":1' in request.body
        else received(request)
    )
    journals.drain(server.url)
    moments.append(told(journals))
    exports = []
    for number, order in enumerate(permutations(moments)):
        with copied(journals.journal.path, f"copy{number}") as copy:
            for table in ("attempts", "deliveries", "targets", "destinations"):
                change(copy, f"DELETE FROM {table}")
            for found in (*order, order[0]):
                take_in(copy, found)
            exports.append(canonical.export(copy.journal.path))
    assert exports == [canonical.export(journals.journal.path)] * len(exports)


def test_a_drain_that_runs_sees_what_came_in_and_what_is_sent_again(
    journals: Recordings, server: ScriptedServer
) -> None:
    training = journals.whole()
    with copied(journals.journal.path, "copy") as copy:
        copy.drain(server.url)
        found = told(copy)
    with closing(journals.journal.outbox()) as outbox:
        take_in(journals, found)

        def unplanned() -> int:
            [target] = outbox.routes.targets()
            backlog = outbox.backlogs.read(target, 100, Selection())
            assert backlog is not None
            return len([event for event in backlog.events if event.id not in backlog.planned])

        assert unplanned() == 0
        training.epoch(7)
        assert unplanned() == 1
        journals.journal.resend(training.run.id, 1)
        assert unplanned() == 10


def test_results_may_come_before_the_events(journals: Recordings, server: ScriptedServer) -> None:
    """So no drain plans, in between, what has arrived."""
    training = journals.whole()
    with copied(journals.journal.path, "copy") as copy:
        copy.drain(server.url)
        found = told(copy)
    events = rows(journals.journal.path, "SELECT * FROM events ORDER BY id")
    change(journals, "DELETE FROM events WHERE id > 5")
    with closing(journals.journal.outbox()) as outbox:
        take_in(journals, found, has_events=False)
        assert [len(planned(outbox, training))] == [5]
        for event in events[5:]:
            change(journals, f"INSERT INTO events VALUES ({', '.join('?' * len(event))})", *event)
        assert len(planned(outbox, training)) == len(events)
    take_in(journals, found)
    assert rows(journals.journal.path, "SELECT count(*) FROM deliveries WHERE first_event = 0") == [(0,)]


def planned(outbox: Outbox, training: Training) -> frozenset[int]:
    """Return the events that a drain leaves out, of all that it reads."""
    [target] = outbox.routes.targets(run_ids=[training.run.id])
    backlog = outbox.backlogs.read(target, 100, Selection())
    assert backlog is not None
    return backlog.planned & {event.id for event in backlog.events}


def steps(connection: Any, work: Callable[[], object]) -> int:
    """Return how much SQLite does for some work, in hundreds of steps of its virtual machine."""
    ticks = 0

    def tick() -> int:
        nonlocal ticks
        ticks += 1
        return 0

    driver = connection.connection.driver_connection
    driver.set_progress_handler(tick, 100)
    try:
        work()
    finally:
        driver.set_progress_handler(None, 0)
    return ticks


def test_results_of_a_long_run_take_no_longer_for_each_delivery(
    journals: Recordings, server: ScriptedServer, tmp_path: Path
) -> None:
    found = []
    for epochs in (150, 300):
        with recordings(tmp_path / str(epochs)) as source:
            training = source.begin(f"of {epochs}")
            training.started()
            for number in range(epochs):
                training.epoch(number)
            with copied(source.journal.path, f"drained {epochs}") as copy:
                copy.drain(server.url)
                [results] = told(copy)
            with closing(source.journal.outbox()) as outbox, outbox.begin() as connection:
                found.append(steps(connection, lambda: results_intake.take_in(connection, results)))  # noqa: B023
    assert found[1] < 3 * found[0]
