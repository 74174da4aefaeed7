"""A drain takes in the epochs that a trainer has recorded and the journal lacks, before platforms are told an end."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.journals import dead_pid, later, rows
from support.platform_api import Api
from support.recordings import KEY, Recordings, recordings
from support.results import change, epoch_end, killed, write_results
from support.scripted_server import ScriptedServer

from journal.checkpoints.salvage import RUN_FILE
from journal.clock import to_text
from journal.errors import JournalBusy
from uploader.recorder import Recorder
from uploader.server.running import running
from uploader.sink import JournalOptions


def epochs(journals: Recordings) -> list[tuple[str, str | None]]:
    """Return number and source of the epochs in the journal, in the order in which they came in."""
    query = "SELECT key, json_extract(payload, '$.source') FROM events WHERE kind = 'epoch_end' ORDER BY id"
    return rows(journals.journal.path, query)


def test_epochs_are_taken_in_before_the_end_that_platforms_are_told(
    journals: Recordings, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    training = killed(journals, 0, 1, trained=4)
    assert journals.drain(server.url).exit_code == 0
    told = [(body["event"], body["data"].get("epoch")) for body in server.bodies()]
    assert sorted(number for event, number in told if event == "epoch_end") == [0, 1, 2, 3]
    assert (told[0][0], told[-1][0]) == ("training_started", "training_failed")
    name = f"demo/train ({training.run.id})"
    assert f"The journal lacked epochs 3-4 of {name}: taken in from results.csv." in caplog.messages
    journals.drain(server.url)
    assert len(server.bodies()) == len(told)


@pytest.mark.parametrize(
    "session",
    [
        {"pid": os.getpid()},
        {"host": "elsewhere"},
        {"host": "elsewhere", "heartbeat_at": to_text(later(-600))},  # it may live there, silent for a while
    ],
    ids=["alive", "elsewhere", "silent"],
)
def test_a_training_that_may_go_on_is_left_alone(
    journals: Recordings, server: ScriptedServer, session: dict[str, Any]
) -> None:
    killed(journals, 0, trained=2, **session)
    journals.drain(server.url)
    assert epochs(journals) == [("0", None)]


def test_one_that_finished_is_looked_at_until_its_end_is_planned(journals: Recordings, server: ScriptedServer) -> None:
    training = killed(journals, 0, trained=2)
    training.complete()
    training.end("complete")
    journals.drain(server.url)
    assert [body["event"] for body in server.bodies()][1:] == ["epoch_end", "epoch_end", "training_complete"]
    write_results(Path(training.run.save_dir), 2)
    journals.drain(server.url)
    assert [number for number, _ in epochs(journals)] == ["0", "1"]


def test_one_that_an_earlier_session_trains_still_is_left_alone(journals: Recordings, server: ScriptedServer) -> None:
    training = killed(journals, 0, trained=2, pid=os.getpid())
    journals.begin(run_id=training.run.id).end("failed")
    journals.drain(server.url)
    assert epochs(journals) == [("0", None)]


def test_what_a_pack_holds_may_be_trained_still_however_silent_it_is(
    journals: Recordings, server: ScriptedServer
) -> None:
    killed(journals, 0, trained=2, host="elsewhere", heartbeat_at=to_text(later(-90_000)))
    with journals.journal.begin() as connection:
        (place,) = connection.exec_driver_sql("SELECT value FROM facts WHERE name = 'place'").one()
        connection.exec_driver_sql("UPDATE facts SET value = 'unpacked' WHERE name = 'place'")
    journals.drain(server.url)
    assert len(epochs(journals)) == 1
    with journals.journal.begin() as connection:
        connection.exec_driver_sql("UPDATE facts SET value = ? WHERE name = 'place'", (place,))
    journals.drain(server.url)
    assert len(epochs(journals)) == 2


def test_what_was_pruned_is_not_sent_again(journals: Recordings, server: ScriptedServer) -> None:
    killed(journals, 0, trained=2)
    assert journals.drain(server.url).exit_code == 0
    assert journals.journal.prune(later(60)).runs == 1
    told = len(server.bodies())
    journals.drain(server.url)
    assert (epochs(journals), len(server.bodies())) == ([], told)


def test_one_that_failed_is_completed(journals: Recordings, server: ScriptedServer) -> None:
    killed(journals, 0, trained=2).end("failed")
    journals.drain(server.url)
    assert epochs(journals) == [("0", None), ("1", "results.csv")]


def test_a_folder_that_is_another_runs_or_nobodys_is_left_alone(journals: Recordings, server: ScriptedServer) -> None:
    folder = Path(killed(journals, 0, trained=2).run.save_dir)
    for content in (json.dumps({"run": "00000000-0000-4000-8000-000000000000"}), "{}"):
        (folder / RUN_FILE).write_text(content)
        journals.drain(server.url)
    assert len(epochs(journals)) == 1


@pytest.mark.parametrize(("recorded", "taken"), [((0,), ["0", "1"]), ((), [])])
def test_a_folder_that_was_trained_into_since_is_believed_only_if_it_agrees(
    journals: Recordings, server: ScriptedServer, recorded: tuple[int, ...], taken: list[str]
) -> None:
    folder = Path(killed(journals, *recorded, trained=2).run.save_dir)
    (folder / "args.yaml").touch()
    change(journals, started_at="2026-01-01T00:00:00.000Z", heartbeat_at="2026-01-01T00:00:00.000Z")
    journals.drain(server.url)
    assert [number for number, _ in epochs(journals)] == taken


@pytest.mark.parametrize(("recorded", "taken"), [((0,), 3), ((), 0)])
def test_a_record_that_is_older_than_the_run_is_believed_only_if_it_agrees(
    journals: Recordings, server: ScriptedServer, recorded: tuple[int, ...], taken: int
) -> None:
    training = killed(journals, *recorded, trained=3)
    os.utime(Path(training.run.save_dir, "results.csv"), (0, 1_000_000_000))
    journals.drain(server.url)
    assert len(epochs(journals)) == taken


def test_the_folder_of_the_last_session_is_looked_into(journals: Recordings, server: ScriptedServer) -> None:
    training = killed(journals, 0, trained=2)
    folder = Path(training.run.save_dir)
    folder.rename(folder.with_name("moved"))
    journals.drain(server.url)
    assert len(epochs(journals)) == 1
    journals.begin(run_id=training.run.id).started(trainArgs={"save_dir": str(folder.with_name("moved"))})
    change(journals, pid=dead_pid())
    journals.drain(server.url)
    assert len(epochs(journals)) == 2


def test_no_end_is_told_while_epochs_cannot_be_taken_in(
    journals: Recordings, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(journals, 0, trained=2)

    def busy(*_: Any, **__: Any) -> None:
        raise JournalBusy("in use")

    with monkeypatch.context() as patch:
        patch.setattr("journal.folder.epoch_salvage.take_in", busy)
        with pytest.raises(JournalBusy):
            journals.drain(server.url)
        assert rows(journals.journal.path, "SELECT count(*) FROM events WHERE kind = 'interrupted'") == [(0,)]
    journals.drain(server.url)
    assert len(epochs(journals)) == 2


def test_what_had_arrived_before_the_journal_was_lost_stays_as_it_was(tmp_path: Path) -> None:
    def train(*epochs: int, **options: Any) -> None:
        recorder = Recorder.start(
            JournalOptions(str(tmp_path / "journal")), project="demo", name="train", save_dir=save_dir, **options
        )
        told = {"uploaderRun": recorder.run_id, "uploaderSession": recorder.session.facts()}
        recorder.event("training_started", {"trainArgs": {"resume": str(options["resume"])}, "environment": told}, "1")
        for number in epochs:
            recorder.event("epoch_end", epoch_end(number), str(number))
        recorder.event("training_failed", {"error": "again"})
        recorder.finish("failed")

    save_dir = tmp_path / "train"
    save_dir.mkdir()
    with running(tmp_path / "platform", api_key=KEY) as platform:
        train(0, 1, resume=False)
        deliver(tmp_path / "journal", platform.url)
        shutil.rmtree(tmp_path / "journal")
        write_results(save_dir, 0, 1, 2)
        train(3, resume=True)
        deliver(tmp_path / "journal", platform.url)
        shown = Api(platform.url, KEY).model()["trainResults"]
    assert [(epoch["epoch"], epoch.get("fitness"), epoch.get("source")) for epoch in shown] == [
        (0, 0.0, None),
        (1, 0.0, None),
        (2, None, "results.csv"),
        (3, 0.0, None),
    ]


def deliver(folder: Path, url: str) -> None:
    with recordings(folder) as journals:
        assert journals.drain(url).exit_code == 0
