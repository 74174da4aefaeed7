"""Runs whose events were pruned: a platform that is new to them would get a part, or nothing, and so is refused."""

from __future__ import annotations

import pytest
from support.journals import rows
from support.recordings import Recordings
from support.scripted_server import ScriptedServer, free_port, scripted_server

from journal.clock import utc_now
from uploader.errors import SettingsError

ON_BOTH_ENGINES = True


@pytest.mark.parametrize("resumed", [False, True])
def test_a_new_platform_gets_no_part_of_a_pruned_run(
    journals: Recordings, server: ScriptedServer, *, resumed: bool
) -> None:
    training = journals.whole()
    assert journals.drain(server.url).exit_code == 0
    assert journals.journal.prune(utc_now()).runs == 1
    if resumed:
        again = journals.begin(run_id=training.run.id)
        again.started()
        again.epoch(3)
        again.end()
        assert journals.drain(server.url).exit_code == 0
    with scripted_server() as new:
        with pytest.raises(SettingsError, match=f"{training.run.id}.*arrived at {server.url}"):
            journals.drain(server.url, to=new.url)
        assert new.requests == []
    assert rows(journals.journal.path, "SELECT count(*) FROM targets") == [(1,)]


def test_other_runs_go_there(journals: Recordings, server: ScriptedServer, caplog: pytest.LogCaptureFixture) -> None:
    pruned = journals.whole("first")
    assert journals.drain(server.url).exit_code == 0
    journals.journal.prune(utc_now())
    journals.whole("second")
    with scripted_server() as new:
        assert journals.drain(server.url, to=new.url).exit_code == 0
        assert [body["name"] for body in new.bodies("/metrics") if "name" in body] == ["second"]
    assert pruned.run.id in caplog.text


def test_a_platform_that_has_the_run_gets_what_was_recorded_since(journals: Recordings, server: ScriptedServer) -> None:
    training = journals.whole()
    assert journals.drain(server.url).exit_code == 0
    journals.journal.prune(utc_now())
    journals.begin(run_id=training.run.id).epoch(3)
    assert journals.drain(server.url, to=server.url).destinations[0].delivered == 1


def test_what_was_given_up_before_it_arrived_and_then_deleted_goes_nowhere(
    journals: Recordings, server: ScriptedServer
) -> None:
    """Neither to the platform that was given up, which has nothing of it, nor to another one."""
    training = journals.whole()
    gone = f"http://127.0.0.1:{free_port()}"
    journals.writer.route(training.run.id, "ultralytics", gone)
    journals.journal.drop_destination(1)
    assert journals.journal.prune(utc_now(), given_up=True).runs == 1
    for url in (gone, server.url):
        with pytest.raises(SettingsError, match="given up"):
            journals.drain(server.url, to=url)
