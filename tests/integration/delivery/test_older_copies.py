"""An older copy of a journal, drained after the journal itself, puts nothing older over what that has delivered."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.journals import rows, until
from support.platform_api import Api
from support.recordings import KEY, Recordings, Training, recordings

from journal.doctor import examine
from journal.records import Known
from journal.sessions.identity import Session
from uploader.delivery.summary import Summary
from uploader.delivery.timing import Timing
from uploader.platforms.older_copy import ahead
from uploader.server.running import running


@pytest.fixture(params=[True, False], ids=["idempotency keys", "none"])
def api(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Api]:
    with running(tmp_path / "platform", api_key=KEY, idempotency=request.param) as server:
        yield Api(server.url, server.api_key)


def begin(journals: Recordings) -> Training:
    """Begin a training that tells the platform which session it is, as callbacks do."""
    run = journals.writer.start_run(project="demo", name="train", save_dir="/x")
    session = Session(run.id)
    training = Training(journals.journal, journals.writer, run, journals.writer.start_session(run.id, session=session))
    training.event(
        "training_started", {"environment": {"uploaderRun": run.id, "uploaderSession": session.facts()}}, "1"
    )
    return training


def copied(journals: Recordings, folder: Path) -> Path:
    """Copy a journal as its document says."""
    folder.mkdir()
    with closing(sqlite3.connect(journals.journal.database)) as connection:
        connection.execute("VACUUM INTO ?", (str(folder / "journal.db"),))
    shutil.copytree(journals.journal.blobs.folder, folder / "blobs")
    return folder


def copied_in_training(journals: Recordings, folder: Path) -> tuple[Training, Path]:
    """Begin a training that has an epoch, weights and text when its journal is copied, and goes on."""
    training = begin(journals)
    training.console(1)
    training.epoch(0)
    training.checkpoint(b"older weights", "best")
    training.console(2)
    return training, copied(journals, folder)


def drained(folder: Path, url: str) -> Summary:
    with recordings(folder) as copy:
        return copy.drain(url)


def shown(api: Api) -> Any:
    model = api.model()
    names = ("status", "trainResults", "consoleChunks")
    return {name: without_times(model[name]) for name in names} | {"sha256": model["file"]["sha256"]}


def shown_epochs(api: Api) -> Any:
    return without_times(api.model()["trainResults"])


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_times(item) for name, item in value.items() if not name.endswith(("At", "timestamp"))}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def test_an_older_copy_changes_nothing_and_says_what_to_do(journals: Recordings, api: Api, tmp_path: Path) -> None:
    training, copy = copied_in_training(journals, tmp_path / "copy")
    training.console(3)
    training.epoch(1)
    training.checkpoint(b"newer weights")
    training.complete()
    training.end()
    assert journals.drain(api.url).exit_code == 0
    before = shown(api)
    summary = drained(copy, api.url)
    assert (summary.exit_code, summary.destinations[0].blocked) == (4, 1)
    assert shown(api) == before
    [(reason,)] = rows(copy, "SELECT reason FROM targets")
    assert "the platform has epochs up to 1, and this journal up to 0: this journal is an older copy" in reason
    assert f"`route {training.run.id} --name NAME`" in reason
    assert rows(copy, "SELECT count(*) FROM deliveries WHERE state != 'pending'") == [(0,)]


@pytest.mark.parametrize("has_epochs", [True, False])
def test_one_in_which_the_training_was_resumed_asks_once_and_waits_for_a_person(
    journals: Recordings, api: Api, tmp_path: Path, has_epochs: bool
) -> None:
    training = begin(journals)
    training.epoch(0)
    assert journals.drain(api.url).exit_code == 0
    copy = copied(journals, tmp_path / "copy")
    training.epoch(1)
    training.epoch(2)
    assert journals.drain(api.url).exit_code == 0
    before = shown_epochs(api)
    with recordings(copy) as older:
        if has_epochs:  # of the session before, so that it is they which are compared first
            Training(older.journal, older.writer, training.run, training.session_id).epoch(1)
            assert older.drain(api.url).exit_code == 4
        resumed = older.begin("train", run_id=training.run.id)
        resumed.started()
        resumed.epoch(1)
        for _ in range(2):
            summary = older.drain(api.url, max_time=60.0)
            assert (summary.exit_code, summary.destinations[0].blocked) == (4, 1)
        assert rows(copy, "SELECT count(*) FROM attempts WHERE error IS NOT NULL") == [(1 + has_epochs,)]
        assert shown_epochs(api) == before
        older.journal.retry()
        assert older.drain(api.url, max_time=60.0).exit_code == 4
        assert rows(copy, "SELECT count(*) FROM attempts WHERE error IS NOT NULL") == [(2 + has_epochs,)]
    assert shown_epochs(api) == before


def test_one_that_was_put_over_the_journal_itself_is_known_too(api: Api, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    with recordings(folder) as mine:
        training = begin(mine)
        training.epoch(0)
        assert mine.journal.fold_wal()
        older = shutil.copy(folder / "journal.db", tmp_path / "older.db")
        training.epoch(1)
        training.checkpoint(b"newer weights")
        training.complete()
        training.end()
        assert mine.drain(api.url).exit_code == 0
    before, inode = shown(api), (folder / "journal.db").stat().st_ino
    shutil.copyfile(older, folder / "journal.db")
    assert (folder / "journal.db").stat().st_ino == inode
    assert "database-older" in {finding.code for finding in examine(folder, fallback_folders=[]).findings}
    summary = drained(folder, api.url)
    assert (summary.exit_code, summary.destinations[0].blocked) == (4, 1)
    assert shown(api) == before


@pytest.mark.parametrize("is_seen_first", [True, False])
def test_one_that_was_put_over_the_journal_stays_known_whatever_is_written_to_it(
    api: Api, tmp_path: Path, is_seen_first: bool
) -> None:
    folder = tmp_path / "mine"
    with recordings(folder) as mine:
        training = begin(mine)
        training.epoch(0)
        assert mine.drain(api.url).exit_code == 0
    older = shutil.copy(folder / "journal.db", tmp_path / "older.db")
    with recordings(folder) as mine:
        again = Training(mine.journal, mine.writer, training.run, training.session_id)
        for number in range(1, 4):
            again.epoch(number)
        assert mine.drain(api.url).exit_code == 0
        latest = shutil.copy(folder / "journal.db", tmp_path / "latest.db")
    before = shown_epochs(api)
    shutil.copyfile(older, folder / "journal.db")
    for is_last in [False, True] if is_seen_first else [True]:
        with recordings(folder) as mine:
            different = {"epoch": 1, "metrics": {"loss": 9.0}}
            mine.writer.append(training.run.id, training.session_id, "epoch_end", different, "1")
            if is_last:
                for number in range(2):
                    mine.whole(f"other{number}", epochs=2)
                mine.journal.retry(run_ids=[training.run.id])  # so that the platform would be sent something
            assert mine.drain(api.url).exit_code == 4
        assert shown_epochs(api) == before
    assert [api.model(f"other{number}")["status"] for number in range(2)] == ["completed"] * 2
    assert "database-older" in {finding.code for finding in examine(folder, fallback_folders=[]).findings}
    shutil.copyfile(latest, folder / "journal.db")
    assert "database-older" not in {finding.code for finding in examine(folder, fallback_folders=[]).findings}
    with recordings(folder) as mine:
        Training(mine.journal, mine.writer, training.run, training.session_id).epoch(4)
        assert mine.drain(api.url).exit_code == 0
    assert [each["epoch"] for each in shown_epochs(api)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("api", [True], indirect=True)
def test_a_drain_that_watches_makes_copies_older_while_it_goes_on(api: Api, tmp_path: Path) -> None:
    """It may be killed: then nothing is done at its end."""
    folder = tmp_path / "mine"
    with recordings(folder) as mine:
        training = begin(mine)
        training.epoch(0)
        with mine.draining(api.url, watch=True, timing=Timing(renewal=0.01)):
            until((folder / "journal.db-newest").exists)
            copy = copied(mine, tmp_path / "copy")
            shutil.copy(folder / "journal.db-newest", copy)
            training.epoch(1)
            until(lambda: [each["epoch"] for each in api.model()["trainResults"]] == [0, 1])
            until(lambda: (folder / "journal.db-newest").read_bytes() != (copy / "journal.db-newest").read_bytes())
            shutil.copy(folder / "journal.db-newest", copy)
            assert "database-older" in {finding.code for finding in examine(copy, fallback_folders=[]).findings}


@pytest.mark.parametrize("api", [True], indirect=True)
def test_a_platform_that_goes_by_the_order_refuses_by_itself_to_go_back(
    journals: Recordings, api: Api, tmp_path: Path
) -> None:
    """Where the copy was made in the very place of the journal, or the platform has no more epochs than it."""
    training, copy = copied_in_training(journals, tmp_path / "copy")
    training.console(3)
    training.checkpoint(b"newer weights", "best")
    training.end("exited")
    assert journals.drain(api.url).exit_code == 0
    before = shown(api)
    with closing(sqlite3.connect(copy / "journal.db")) as connection, connection:
        connection.execute("DELETE FROM facts WHERE name = 'place'")
        connection.execute("UPDATE sessions SET ended_at = heartbeat_at")  # it is drained much later
    assert drained(copy, api.url).exit_code == 0
    assert shown(api) == before


def test_a_copy_that_has_all_is_delivered(journals: Recordings, api: Api, tmp_path: Path) -> None:
    training = begin(journals)
    training.epoch(0)
    assert journals.drain(api.url).exit_code == 0
    copy = copied(journals, tmp_path / "copy")
    with recordings(copy) as moved:
        there = Training(moved.journal, moved.writer, training.run, training.session_id)
        there.epoch(1)
        there.checkpoint(b"weights")
        there.complete()
        assert moved.drain(api.url).exit_code == 0
    assert [result["epoch"] for result in api.model()["trainResults"]] == [0, 1]
    assert len(api.get("/api/models/local/demo")["models"]) == 1


@pytest.mark.parametrize("is_announced", [True, False])
@pytest.mark.parametrize("is_over", [True, False])
def test_an_older_copy_changes_nothing_on_hub(
    journals: Recordings, api: Api, tmp_path: Path, is_announced: bool, is_over: bool
) -> None:
    """Which tells a later epoch, and the end: also of a model that the copy has not heard of yet."""
    training = journals.begin()
    journals.writer.route(training.run.id, "hub", api.url)
    training.started(trainArgs={"model": "yolo11n.pt"})
    training.epoch(0)
    if is_announced:
        assert journals.drain(UNUSED, hub=api.url).exit_code == 0
    training.checkpoint(b"older weights", "best")
    training.epoch(1)
    copy = copied(journals, tmp_path / "copy")
    if is_over:
        training.checkpoint(b"newer weights")
        training.complete()
        training.end()
    else:
        training.epoch(2)
    assert journals.drain(UNUSED, hub=api.url).exit_code == 0
    before = shown_on_hub(api)
    with recordings(copy) as older:
        older.writer.end_session(training.session_id, "exited")
        assert older.drain(UNUSED, hub=api.url).exit_code == 4
    assert shown_on_hub(api) == before
    [(reason,)] = rows(copy, "SELECT reason FROM targets WHERE reason IS NOT NULL")
    told = "the training's end" if is_over else "epochs up to 2, and this journal up to 1"
    assert f"the platform has {told}: this journal is an older copy" in reason
    assert f"`route {training.run.id} --name NAME`" in reason


def test_a_copy_that_has_all_is_delivered_to_hub(journals: Recordings, api: Api, tmp_path: Path) -> None:
    training = journals.begin()
    journals.writer.route(training.run.id, "hub", api.url)
    training.started(trainArgs={"model": "yolo11n.pt"})
    training.epoch(0)
    assert journals.drain(UNUSED, hub=api.url).exit_code == 0
    copy = copied(journals, tmp_path / "copy")
    with recordings(copy) as moved:
        there = Training(moved.journal, moved.writer, training.run, training.session_id)
        there.epoch(1)
        assert moved.drain(UNUSED, hub=api.url).exit_code == 0
    [(_, metrics)] = shown_on_hub(api)
    assert [each["epoch"] for each in metrics] == [0, 1]


UNUSED = "http://unused.invalid"


def shown_on_hub(api: Api) -> list[tuple[Any, Any]]:
    """Return each model with its metrics; signed URLs differ each time."""
    models = api.get("/v1/models")["data"]["results"]
    names = ("id", "status", "checkpoints", "updatedAt")
    return [
        ({name: each[name] for name in names}, api.get(f"/v1/models/{each['id']}/metrics")["data"]) for each in models
    ]


def model(session: str = "a", generation: int = 1, *epochs: int, status: str = "running") -> dict[str, Any]:
    told = {"uuid": session, "generation": generation, "parent": None}
    results = [{"epoch": epoch} for epoch in epochs]
    return {"status": status, "trainResults": results, "environment": {"uploaderSession": told}}


KNOWN = Known(frozenset({"a"}), 1, last_epoch=2, is_complete=False)


@pytest.mark.parametrize(
    ("told", "known", "expected"),
    [
        (model("a", 1, 0, 1, 2), KNOWN, None),
        (model("a", 1, 0, 1, 2, 3), KNOWN, "epochs up to 3, and this journal up to 2"),
        (model("b", 2), KNOWN, "a later session"),
        (model("b", 1, 0, 1, 2, 3), KNOWN, None),  # another branch of the run; its registration tells that
        (model("a", 1, 2, status="completed"), KNOWN, "the training's end"),
        (model("a", 1, 2, 9, status="completed"), Known(frozenset({"a"}), 1, None, is_complete=True), None),  # pruned
        ({"trainResults": [{"epoch": 3}, "?", {"epoch": "x"}]}, KNOWN, "epochs up to 3, and this journal up to 2"),
        ({}, KNOWN, None),
    ],
)
def test_what_a_platform_has_and_the_journal_does_not(told: dict[str, Any], known: Known, expected: str | None) -> None:
    assert ahead(told, known) == expected
