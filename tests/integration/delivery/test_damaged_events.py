"""One event that cannot be read, in the middle of others: it is set aside, and everything else arrives."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.journals import change, rows
from support.recordings import Recordings
from support.scripted_server import ScriptedServer, hub_received, received, scripted_server

ON_BOTH_ENGINES = True
TORN = '{"epoch": 1, "met'


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server(lambda it: (hub_received if it.path.startswith("/v1/") else received)(it)) as running:
        yield running


def damage(journals: Recordings, kind: str, payload: str, number: int = 0) -> int:
    """Replace the text of one event of this kind; return its id."""
    query = "SELECT id FROM events WHERE kind = ? ORDER BY id LIMIT 1 OFFSET ?"
    [(event,)] = rows(journals.journal.path, query, kind, number)
    change(journals.journal.path, "UPDATE events SET payload = ? WHERE id = ?", payload, event)
    return int(event)


@pytest.mark.parametrize("payload", [TORN, "[]"])
@pytest.mark.parametrize("kind", ["console_output", "epoch_end", "training_complete"])
def test_a_damaged_event_is_a_dead_letter_and_all_else_arrives(
    journals: Recordings, server: ScriptedServer, kind: str, payload: str
) -> None:
    journals.whole("one")
    event = damage(journals, kind, payload)
    journals.whole("two")
    assert journals.drain(server.url).exit_code == 4
    [(error,)] = rows(journals.journal.path, "SELECT last_error FROM deliveries WHERE state = 'dead'")
    assert f"event {event} is damaged" in error
    arrived = server.bodies("/metrics")
    assert [body["event"] for body in arrived].count("epoch_end") == 6 - (kind == "epoch_end")
    assert [body["event"] for body in arrived].count("training_complete") == 2 - (kind == "training_complete")
    told = "".join(body["data"]["content"] for body in arrived if body["event"] == "console_output")
    assert told.count("line") == 6 - (kind == "console_output")


def test_a_checkpoint_without_a_sha256_is_a_dead_letter(journals: Recordings, server: ScriptedServer) -> None:
    journals.whole("one")
    training = journals.begin("two")
    training.started()
    training.event("checkpoint", {"publish": True, "role": "best"}, "best")
    training.complete()
    training.end()
    assert journals.drain(server.url).exit_code == 4
    assert [body["event"] for body in server.bodies("/metrics")].count("training_complete") == 2


def test_a_damaged_start_stops_its_run_and_no_other(journals: Recordings, server: ScriptedServer) -> None:
    journals.whole("one")
    event = damage(journals, "training_started", TORN)
    journals.whole("two")
    assert journals.drain(server.url).exit_code == 4
    [one, two] = [run.targets[0] for run in journals.journal.report()]
    assert (one.state, two.state) == ("blocked", "registered")
    assert f"event {event} is damaged" in str(one.reason)
    journals.journal.retry()
    assert journals.drain(server.url).exit_code == 4  # a second life does not help, and does no harm


def test_a_damaged_epoch_does_not_part_the_metrics_of_hub(journals: Recordings, server: ScriptedServer) -> None:
    training = journals.begin()
    journals.writer.route(training.run.id, "hub", server.url)
    training.started()
    for number in range(20):
        training.epoch(number)
    damage(journals, "epoch_end", TORN, number=15)
    training.end()
    assert journals.drain("http://unused.invalid", hub=server.url).exit_code == 4
    sent = [number for body in server.bodies("/m-1") for number in body["metrics"]]
    assert sorted(map(int, sent)) == [number for number in range(20) if number != 15]


def test_console_text_of_another_shape_is_sent_as_it_is(journals: Recordings, server: ScriptedServer) -> None:
    training = journals.begin()
    training.started()
    training.console(1)
    training.event("console_output", {"content": "of another program"}, "2")
    training.console(3)
    training.console(4)
    training.end()
    assert journals.drain(server.url).exit_code == 0
    told = [body["data"]["content"] for body in server.bodies("/metrics")[1:]]
    assert sorted(told) == ["line 1", "line 3\nline 4", "of another program"]
