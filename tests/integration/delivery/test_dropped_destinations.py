"""A destination that a person gave up: nothing more goes there, until somebody names it again."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from support.journals import bench, rows
from support.recordings import Recordings
from support.scripted_server import ScriptedServer, free_port, scripted_server

from journal.errors import StaleClaim
from journal.records import Outcome

ON_BOTH_ENGINES = True


def destination(journals: Recordings) -> int:
    [(number,)] = rows(journals.journal.path, "SELECT id FROM destinations")
    return int(number)


def test_nothing_more_is_planned_and_naming_it_again_brings_all_of_it(
    journals: Recordings, server: ScriptedServer
) -> None:
    training, port = journals.whole(), free_port()
    gone = f"http://127.0.0.1:{port}"
    assert journals.drain(gone).exit_code == 3
    dropped = journals.journal.drop_destination(destination(journals))
    assert (dropped.runs, dropped.deliveries) == (1, 9)

    training.epoch(3)
    summary = journals.drain(gone)
    assert (summary.exit_code, summary.destinations) == (0, ())
    assert rows(journals.journal.path, "SELECT state, count(*) FROM deliveries GROUP BY state") == [("dropped", 9)]

    with scripted_server(port=port) as back:
        assert journals.drain(server.url, to=gone).exit_code == 0
        events = [body["event"] for body in back.bodies("/metrics")]
    assert (events[0], events.count("epoch_end"), events.count("training_complete")) == ("training_started", 4, 1)
    assert server.requests == []


def test_of_a_run_that_it_knows_nothing_more_is_sent(journals: Recordings, server: ScriptedServer) -> None:
    training = journals.whole()
    assert journals.drain(server.url).exit_code == 0
    sent = len(server.requests)
    assert journals.journal.drop_destination(destination(journals)).deliveries == 0
    training.epoch(3)
    assert journals.drain(server.url).exit_code == 0
    assert len(server.requests) == sent
    assert rows(journals.journal.path, "SELECT count(*) FROM pending") == [(0,)]
    assert journals.drain(server.url, to=server.url).destinations[0].delivered == 1


def test_others_go_on(journals: Recordings, server: ScriptedServer) -> None:
    training = journals.whole()
    journals.writer.route(training.run.id, "ultralytics", f"http://127.0.0.1:{free_port()}")
    gone = destination(journals)
    with closing(journals.journal.outbox()) as outbox:
        outbox.routes.add(training.run.id, outbox.routes.add_destination("ultralytics", server.url).id)
    journals.journal.drop_destination(gone)
    [one] = journals.drain(server.url).destinations
    assert (one.url, one.state, one.delivered) == (server.url, "up to date", 9)


def test_a_session_that_goes_on_does_not_take_it_up_again(journals: Recordings) -> None:
    training = journals.whole()
    url = f"http://127.0.0.1:{free_port()}"
    journals.writer.route(training.run.id, "ultralytics", url)
    journals.journal.drop_destination(destination(journals))
    journals.writer.route(training.run.id, "ultralytics", url)
    assert journals.drain(url).destinations == ()


def test_what_was_under_way_is_overtaken(tmp_path: Path) -> None:
    with bench(tmp_path / "journal") as at:
        at.plan(at.message("training_started"))
        [claim] = at.claim()
        at.journal.drop_destination(at.destination.id)
        late = Outcome(claim, "delivered", ids={"modelId": "m-1"})
        assert at.record(late) == [late]
        assert at.states() == ["dropped"]


def test_what_was_about_to_be_planned_is_not(tmp_path: Path) -> None:
    """A drain has read the run's events, when the destination is given up."""
    with bench(tmp_path / "journal") as at:
        target, message = at.target(), at.message("training_started")
        at.journal.drop_destination(at.destination.id)
        with pytest.raises(StaleClaim):
            at.outbox.plans.write(target, [message], through=message.last_event, stage=1)
        assert at.states() == []


def test_dead_letters_that_were_dropped_one_by_one_stay_dropped(tmp_path: Path) -> None:
    with bench(tmp_path / "journal") as at:
        at.plan(at.message("training_started"), at.message())
        for claim in at.claim():
            at.record(Outcome(claim, "dead", error="refused"))
        first, *_ = (number for (number,) in rows(at.journal.path, "SELECT id FROM deliveries ORDER BY id"))
        at.journal.drop([first])
        at.journal.drop_destination(at.destination.id)
        at.outbox.routes.add(at.run.id, at.destination.id)
        assert at.states() == ["dropped", "pending"]
