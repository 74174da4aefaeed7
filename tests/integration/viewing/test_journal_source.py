"""A journal, a mirror and a pack as the source of a dashboard."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import requests
from support.clocks import Clock
from support.journals import Bench, Engine, bench, change
from support.recordings import Recordings, Training, recordings

from journal.errors import JournalError
from journal.mirror.mirroring import Mirroring
from journal.mirror.stores import FolderStore
from journal.packs import archive, contents
from journal.read_only import read_journal, reading
from journal.reading import measured_epochs, run_gists
from journal.reading.run_reader import RunReader
from journal.records import Outcome
from journal.storage.sqlite_backend import SqliteBackend
from uploader.dashboard import page_json
from uploader.dashboard.run_source import Refused, SourceUnavailable, UnknownRun
from uploader.dashboard.shown import RunList, RunNews, ValueLine
from uploader.viewing import taken_copy, viewed_journal
from uploader.viewing.journal_runs import JournalRuns
from uploader.viewing.journal_source import JournalSource
from uploader.viewing.serving import serving
from uploader.viewing.taken_copy import MirrorSource, viewed_mirror, viewed_pack

MAP = "metrics/mAP50-95(B)"


ON_BOTH_ENGINES = True
in_a_folder = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
"""A test of files, or of checkpoints, which a shared journal keeps elsewhere."""


@pytest.fixture
def journals(tmp_path: Path, engine: Engine) -> Iterator[Recordings]:
    with recordings(tmp_path / "journal", engine) as opened:
        yield opened


@pytest.fixture
def source(journals: Recordings, monkeypatch: pytest.MonkeyPatch) -> Iterator[JournalSource]:
    monkeypatch.setattr(viewed_journal, "REST_SECONDS", 0.0)
    monkeypatch.setattr(viewed_journal, "_COST", 0)
    with closing(JournalSource(journals.journal.place)) as opened:
        yield opened


def epoch(training: Training, number: int, value: float, **more: Any) -> None:
    metrics = {"train/loss": 1.0, "val/loss": 2.0, MAP: value}
    training.event("epoch_end", {"epoch": number, "metrics": metrics, "fitness": value, **more}, str(number))


def test_a_line_tells_state_progress_metrics_and_arguments(journals: Recordings, source: JournalSource) -> None:
    training = journals.begin("t1")
    training.started(epochs=3, trainArgs={"lr0": "0.01"})
    epoch(training, 0, 0.25)
    [line] = source.runs().runs
    assert (line.key, line.name, line.project, line.state) == (training.run.id, "t1", "demo", "running")
    assert (line.epochs_done, line.epochs_planned) == (1, 3)
    assert line.metrics[MAP] == 0.25
    assert line.arguments == {"lr0": "0.01"}
    assert line.trouble is None


def test_a_run_took_as_long_as_its_sessions_without_the_pause_between_them(
    journals: Recordings, source: JournalSource
) -> None:
    first = journals.begin()
    first.end("failed")
    second = journals.begin(run_id=first.run.id)
    second.end()
    times = ((first, "00:00:00", "00:10:00"), (second, "05:00:00", "05:20:00"))
    for session, *moments in times:
        began, ended = (f"2026-01-01T{each}.000000Z" for each in moments)
        query = "UPDATE sessions SET started_at = ?, heartbeat_at = ?, ended_at = ? WHERE id = ?"
        change(journals.journal.path, query, began, began, ended, session.session_id)
    [line] = source.runs().runs
    facts = source.news(line.key).facts
    assert facts is not None
    assert (line.seconds, {each.label: each.value for each in facts.facts}["Took"]) == (1800, 1_800_000)


def test_an_address_that_the_pages_do_not_have_is_told_by_a_page(source: JournalSource) -> None:
    with serving(source, "token") as address, requests.Session() as browser:
        browser.get(address, timeout=60).raise_for_status()
        found = browser.get(urljoin(address, "/no/such"), headers={"Accept": "text/html"}, timeout=60)
        data = browser.get(urljoin(address, "/data/no"), headers={"Accept": "text/html"}, timeout=60)
    assert (found.status_code, data.status_code, data.text) == (404, 404, "Not Found")
    assert '<a href="/">All runs</a>' in found.text


def test_the_end_s_metrics_count_and_the_evaluation_is_no_epoch(journals: Recordings, source: JournalSource) -> None:
    training = journals.begin()
    training.started(epochs=1)
    epoch(training, 0, 0.25)
    evaluated = {"epoch": 1, "metrics": {"train/loss": 1.0, MAP: 0.5}, "evaluation": True}
    training.event("epoch_end", evaluated, "1")
    training.event("training_complete", {"results": {"metrics": {MAP: 0.5}}, "plots": []})
    training.end()
    [line] = source.runs().runs
    told = source.news(line.key)
    assert (line.state, line.epochs_done, line.metrics[MAP]) == ("completed", 1, 0.5)
    assert list(told.epochs.at) == [0]
    assert told.facts is not None
    assert told.facts.evaluation[MAP] == 0.5


def test_the_best_epoch_is_the_one_that_the_end_names(journals: Recordings, source: JournalSource) -> None:
    training = journals.begin()
    training.started(epochs=2)
    epoch(training, 0, 0.0)
    epoch(training, 1, 0.0)
    facts = source.news(training.run.id).facts
    assert facts is not None
    assert facts.best == 0
    training.event("training_complete", {"results": {"bestEpoch": 1}, "plots": []})
    training.end()
    facts = source.news(training.run.id).facts
    assert facts is not None
    assert facts.best == 1


def test_a_comparison_reads_a_run_s_curves_and_reads_them_again_only_when_the_run_has_changed(
    journals: Recordings, source: JournalSource
) -> None:
    one, other = journals.begin("one"), journals.begin("other")
    one.started(epochs=3, trainArgs={"lr0": "0.01"}, environment={"os": "Linux"})
    for number in range(2):
        epoch(one, number, 0.25 + number)
    one.event("epoch_end", {"epoch": 2, "metrics": {MAP: 0.5}, "evaluation": True}, "2")
    key = one.run.id
    told, page = source.curves([key, "no such run"], {}), source.news(key)
    assert [*told] == [key]
    assert page.facts is not None
    found = told[key]
    assert found.facts is not None
    assert (found.line, found.epochs) == (page.line, page.epochs)
    for name in ("arguments", "environment", "best", "evaluation"):
        assert getattr(found.facts, name) == getattr(page.facts, name)
    assert source.curves([key], told)[key].epochs is found.epochs
    other.started(epochs=3)
    after = source.curves([key], told)[key]
    assert after.epochs is found.epochs  # of this run nothing is new, and nothing is read again
    epoch(one, 3, 0.75)
    again = source.curves([key], {key: after})[key]
    assert [*again.epochs.at] == [0, 1, 3]
    assert not source.news(key, again.cursor).epochs.at


def test_a_whole_run_is_read_by_columns_and_not_by_rows(
    journals: Recordings, source: JournalSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = journals.begin()
    for number in range(3):
        epoch(training, number, 0.25)
    monkeypatch.setattr(measured_epochs, "grown_epochs", lambda *_: pytest.fail("a row is made for each epoch"))
    assert [*source.curves([training.run.id], {})[training.run.id].epochs.at] == [0, 1, 2]


@in_a_folder
def test_a_look_goes_over_one_connection_and_lets_the_log_be_folded_between_its_transactions(
    journals: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [journals.begin().run.id for _ in range(2)]
    connect, made = SqliteBackend.connect, []
    monkeypatch.setattr(SqliteBackend, "connect", lambda self: made.append(connect(self)) or made[-1])
    with viewed_journal.viewed_journal(journals.journal.path).reading() as opened:
        before = len(made)
        for run in runs:
            RunReader(opened.begin, run).curves()
        assert len(made) == before
        assert journals.journal.fold_wal()


def test_what_an_epoch_told_before_it_was_trained_again_makes_it_no_best_one(
    journals: Recordings, source: JournalSource
) -> None:
    first = journals.begin()
    epoch(first, 0, 0.5)
    since = source.news(first.run.id).cursor
    epoch(first, 1, 0.75)
    first.end("failed")
    epoch(journals.begin(run_id=first.run.id), 1, 0.25)
    whole, new = (source.news(first.run.id, cursor) for cursor in (None, since))
    assert whole.facts is not None
    assert new.facts is not None
    assert (whole.facts.best, new.facts.best, [*new.epochs.values[MAP]]) == (0, 0, [0.25])


@pytest.mark.parametrize(
    ("says", "step"),
    [({"revision": 1}, 11), ({"source": "wandb"}, 11), ({}, None), ({"source": "results.csv"}, None)],
)
def test_a_line_tells_the_last_step_of_a_loop_that_counts_steps(
    journals: Recordings, source: JournalSource, says: dict[str, Any], step: int | None
) -> None:
    training = journals.begin()
    training.started(epochs=10)
    epoch(training, 11, 0.25, **says)
    [line] = source.runs().runs
    assert (line.step, line.epochs_planned) == (step, 10 if step is None else None)


def test_an_open_comparison_is_told_the_epochs_of_a_run_and_nothing_of_one_that_has_none(
    journals: Recordings, source: JournalSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = journals.begin("one"), journals.begin("other")
    for training in (one, other):
        training.started(epochs=5, trainArgs={f"argument_{number}": number for number in range(100)})
        epoch(training, 0, 0.25)
    since = {key: found.cursor for key, found in source.curves([one.run.id, other.run.id], {}).items()}
    epoch(one, 1, 0.75)
    told = source.curve_news({**since, "no such run": "x"})
    assert [*told] == [*since]
    assert told[other.run.id] == RunNews(told[other.run.id].cursor)
    news = told[one.run.id]
    assert news.line is not None
    assert news.progress is not None
    assert (news.line.epochs_done, [*news.epochs.at], news.progress.best, news.facts) == (2, [1], 1, None)
    assert len(page_json.as_json(page_json.change(news))) < 2000
    one.event("epoch_end", {"epoch": 2, "metrics": {MAP: 0.5}, "evaluation": True}, "2")
    monkeypatch.setattr(RunReader, "contents", lambda *_, **__: pytest.fail("all of a run is read"))
    ended = source.curve_news({one.run.id: news.cursor})[one.run.id]
    assert ended.facts is not None
    assert (ended.facts.evaluation, [*ended.epochs.at]) == ({MAP: 0.5}, [])
    assert source.curve_news({one.run.id: "of another process"})[one.run.id].is_whole


def test_an_epoch_that_cannot_be_read_leaves_the_others(journals: Recordings, source: JournalSource) -> None:
    training = journals.begin()
    training.started(epochs=3)
    for number in range(3):
        epoch(training, number, 0.25)
    for at, payload in enumerate(('{"epoch": 0', '{"epoch": 1, "metrics": {"a": 1e999, "b": true, "c": 2}}')):
        change(journals.journal.path, "UPDATE events SET payload = ? WHERE key = ?", payload, str(at))
    found = source.curves([training.run.id], {})[training.run.id].epochs
    assert [*found.at] == [1, 2]
    assert found.values == {"c": [2, None], "train/loss": [None, 1.0], "val/loss": [None, 2.0], MAP: [None, 0.25]}


def test_trouble_is_told_of_the_training_and_of_its_platforms(tmp_path: Path) -> None:
    with bench(tmp_path / "journal") as training:
        _refuse(training)
        training.event("training_failed", {"error": "CUDA out of memory"})
        training.writer.end_session(training.session_id, "failed")
        source = JournalSource(training.journal.path)
        [line] = source.runs().runs
        facts = source.news(line.key).facts
    assert line.trouble == "CUDA out of memory; https://platform.example refused 1 of its deliveries"
    assert facts is not None
    assert [(one.state, one.reason) for one in facts.deliveries] == [("refused", "too old")]
    assert [(one.standing, one.left) for one in facts.destinations] == [("1 delivery refused", 1)]


def test_what_is_new_is_told_once_and_nothing_where_nothing_is(journals: Recordings, source: JournalSource) -> None:
    training = journals.begin()
    training.started(epochs=3)
    epoch(training, 0, 0.25, system={"cpu": 5})
    training.console(1, "first")
    listed, told = source.runs().cursor, source.news(training.run.id)
    assert (list(told.epochs.at), told.console, dict(told.system.values)) == ([0], "first\n", {"cpu": [5]})
    again = source.news(training.run.id, told.cursor)
    assert page_json.change(again) == {"cursor": again.cursor}

    epoch(training, 1, 0.5)
    training.console(2, "second")
    new = source.news(training.run.id, told.cursor)
    assert (list(new.epochs.at), new.epochs.values[MAP], new.console) == ([1], [0.5], "second\n")
    assert not new.console_is_whole_tail
    assert (new.facts, new.is_whole) == (None, False)
    assert new.progress is not None
    assert new.progress.best == 1
    assert [line.epochs_done for line in source.runs(listed).runs] == [2]


def test_an_epoch_that_is_trained_again_is_told_again(journals: Recordings, source: JournalSource) -> None:
    training = journals.begin()
    training.started(epochs=3)
    epoch(training, 0, 0.25)
    cursor = source.news(training.run.id).cursor
    training.end("exited")
    again = journals.begin(run_id=training.run.id)
    epoch(again, 0, 0.75)
    new = source.news(training.run.id, cursor)
    assert (list(new.epochs.at), new.epochs.values[MAP]) == ([0], [0.75])


def test_lines_that_come_late_have_the_whole_end_told_anew(journals: Recordings, source: JournalSource) -> None:
    early = journals.begin()
    early.started()
    early.console(1, "early")
    later_one = journals.begin(run_id=early.run.id)
    later_one.console(2, "later")
    cursor = source.news(early.run.id).cursor
    early.console(3, "from a fallback file")
    new = source.news(early.run.id, cursor)
    assert (new.console, new.console_is_whole_tail) == ("early\nfrom a fallback file\nlater\n", True)


def test_what_becomes_of_a_delivery_is_told_though_it_is_no_event(tmp_path: Path) -> None:
    with bench(tmp_path / "journal") as training:
        source = JournalSource(training.journal.path)
        training.register()
        training.plan(training.message())
        cursor = source.news(training.run.id).cursor
        [claim] = training.claim()
        training.record(Outcome(claim, "dead", error="too old"))
        facts = source.news(training.run.id, cursor).facts
    assert facts is not None
    assert [one.state for one in facts.deliveries] == ["refused"]


def test_a_cursor_of_another_process_has_all_told_again(journals: Recordings, source: JournalSource) -> None:
    training = journals.begin()
    training.started()
    epoch(training, 0, 0.25)
    listed, told = source.runs().cursor, source.news(training.run.id).cursor
    with closing(JournalSource(journals.journal.place)) as other:
        assert [line.key for line in other.runs(listed).runs] == [training.run.id]
        assert other.runs(listed).is_whole
        assert list(other.news(training.run.id, told).epochs.at) == []  # the journal is the same, so are its events
        assert list(other.news(training.run.id, "made up").epochs.at) == [0]
        assert other.news(training.run.id, "made up").is_whole


@in_a_folder
def test_a_training_that_falls_silent_changes_though_nothing_is_written(journals: Recordings) -> None:
    training = journals.begin()
    training.started()
    with journals.journal.begin() as connection:  # of another machine, so that its process is not looked at
        connection.exec_driver_sql("UPDATE sessions SET boot_id = 'another', host = 'elsewhere'")
    clock = Clock()
    clock.now = time.time() + 10  # so that the files are not taken for just written
    runs = JournalRuns(viewed_journal.viewed_journal(journals.journal.path), clock)
    assert [line.state for line in runs.changes(None).runs] == ["running"]
    cursor = runs.changes(None).cursor
    clock.now += 3600
    assert [line.state for line in runs.changes(cursor).runs] == ["interrupted"]


@in_a_folder
def test_a_cursor_stays_while_nothing_is_written_and_nothing_changes(journals: Recordings) -> None:
    training = journals.begin("t1")
    training.started(epochs=3)
    clock = Clock()
    clock.now = time.time() + 3600  # long after it was written, so that the files' times tell all
    runs = JournalRuns(viewed_journal.viewed_journal(journals.journal.path), clock)
    told = runs.changes(None)
    clock.now += 60
    assert runs.changes(told.cursor) == RunList(told.cursor, [], [])
    epoch(training, 0, 0.25)
    assert runs.changes(told.cursor).cursor != told.cursor


def test_a_cursor_stays_while_others_only_read(tmp_path: Path) -> None:
    with recordings(tmp_path / "journal") as journals:
        journals.begin("t1").started(epochs=3)
    clock = Clock()
    clock.now = time.time() + 3600
    runs = JournalRuns(viewed_journal.viewed_journal(tmp_path / "journal"), clock)
    told = runs.changes(None)
    with reading(tmp_path / "journal") as opened, opened.begin(read_only=True) as connection:
        connection.exec_driver_sql("SELECT count(*) FROM runs").scalar()
        assert (tmp_path / "journal" / "journal.db-wal").is_file()
        assert runs.changes(told.cursor) == RunList(told.cursor, [], [])
    assert runs.changes(told.cursor) == RunList(told.cursor, [], [])


def test_a_run_is_looked_at_again_that_had_no_event_yet(journals: Recordings, source: JournalSource) -> None:
    training = journals.begin()
    assert [line.epochs_planned for line in source.runs().runs] == [None]
    training.started(epochs=3)
    assert [line.epochs_planned for line in source.runs().runs] == [3]


def test_a_run_that_is_gone_is_told_and_not_found(journals: Recordings, source: JournalSource, tmp_path: Path) -> None:
    training = journals.whole()
    cursor = source.runs().cursor
    for table in ("events", "sessions", "runs"):
        column = "id" if table == "runs" else "run_id"
        change(journals.journal.path, f"DELETE FROM {table} WHERE {column} = ?", training.run.id)
    assert source.runs(cursor).gone == [training.run.id]
    with pytest.raises(UnknownRun, match="no run"):
        source.news(training.run.id)


def test_a_journal_that_disappears_is_said_to_be_gone_and_never_made_anew(tmp_path: Path) -> None:
    folder, away = tmp_path / "journal", tmp_path / "away"
    with recordings(folder) as journals:
        key = journals.whole().run.id
    source = JournalSource(folder)
    cursor = source.runs().cursor
    folder.rename(away)
    for ask in (source.runs, lambda: source.news(key), lambda: source.pictures(key), lambda: read_journal(folder)):
        with pytest.raises(JournalError, match=f"there is no journal in {folder}"):
            ask()
    assert not folder.exists()
    away.rename(folder)
    again = source.runs(cursor)
    assert (again.runs, again.gone, again.is_whole, source.has(key)) == ([], [], False, True)


def test_what_cannot_be_read_is_told_to_a_dashboard_in_the_journal_s_words(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_text("garbage " * 100)
    with pytest.raises(SourceUnavailable, match="doctor --repair"):
        JournalSource(tmp_path).runs()
    assert (tmp_path / "journal.db").read_text() == "garbage " * 100


@in_a_folder
def test_a_mirror_that_cannot_be_read_is_said_so_until_the_next_look(journals: Recordings, tmp_path: Path) -> None:
    key, clock, there = journals.whole().run.id, Clock(), tmp_path / "mirror"
    Mirroring(journals.journal, FolderStore(there)).step()
    with taken_copy._temporary() as copy:
        source = MirrorSource(str(there), copy, clock)
        there.rename(tmp_path / "away")
        clock.now += 10
        for ask in (source.runs, lambda: source.news(key)):
            with pytest.raises(SourceUnavailable, match="mirror"):
                ask()
        assert not there.exists()
        (tmp_path / "away").rename(there)
        clock.now += 10
        assert [line.key for line in source.runs().runs] == [key]


@pytest.mark.parametrize("runs", [1, 11])
def test_epochs_are_counted_and_not_taken_from_the_last_one_s_number(
    journals: Recordings, source: JournalSource, runs: int
) -> None:
    for name in range(runs):
        training = journals.begin(f"t{name}")
        for number in (0, 1, 9):
            epoch(training, number, 0.5)
    assert [line.epochs_done for line in source.runs().runs] == [3] * runs


@pytest.mark.parametrize(("looked_at", "listed"), [(200, 2), (0, 10)])
def test_where_many_runs_have_many_other_events_the_run_s_own_page_alone_counts_its_epochs(
    journals: Recordings, source: JournalSource, monkeypatch: pytest.MonkeyPatch, looked_at: int, listed: int
) -> None:
    monkeypatch.setattr(run_gists, "_LOOKED_AT", looked_at)
    trainings = [journals.begin(f"t{number}") for number in range(11)]
    for training in trainings:
        for number in range(10):
            training.console(number)
        epoch(training, 0, 0.5)
        epoch(training, 9, 0.5)
    assert {one.epochs_done for one in source.runs().runs} == {listed}
    line = source.news(trainings[0].run.id).line
    assert line is not None
    assert line.epochs_done == 2


def test_what_epochs_tell_that_is_no_number_is_named_and_moves_with_them(
    journals: Recordings, source: JournalSource
) -> None:
    training = journals.begin()
    odd: dict[str, Any] = {"nonFinite": {"loss": "nan"}, "values": {"note": [1, "a"]}}
    for number in range(20):
        epoch(training, number, 0.5, **odd)
    told = source.news(training.run.id)
    assert told.facts is not None
    assert told.facts.others[:2] == [ValueLine(19, "note", '[1, "a"]'), ValueLine(19, "loss", "nan")]
    assert len(told.facts.others) == 40
    epoch(training, 20, 0.5, nonFinite={"loss": "inf"})
    new = source.news(training.run.id, told.cursor)
    assert new.progress is not None
    assert (new.facts, new.progress.others) == (None, [ValueLine(20, "loss", "inf")])
    assert len(page_json.as_json(page_json.change(new))) < 2000


def test_trends_are_of_the_metric_that_says_most(journals: Recordings, source: JournalSource) -> None:
    training = journals.begin()
    training.started()
    for number in range(200):
        epoch(training, number, number / 200)
    trend = source.trends([training.run.id, "unknown"])[training.run.id]
    assert (trend.metric, trend.values[0], trend.values[-1]) == (MAP, 0.0, 0.995)
    assert len(trend.values) <= 60


def test_pictures_are_the_trainer_s_plots_and_then_what_was_logged(journals: Recordings, source: JournalSource) -> None:
    training = journals.begin()
    training.started()
    image = {"name": "sample", "step": 3, "form": "image", "mime": "image/png", "data": "aGk="}
    training.event("media", image, "sample 3")
    training.event("media", {**image, "step": 4, "mime": "image/svg+xml"}, "sample 4")  # it could hold a script
    training.event("training_complete", {"results": {}, "plots": [{"type": "pr_curve", "x": [0], "y": [[1]]}]})
    training.end()
    told = source.pictures(training.run.id)
    assert [(one.name, one.step, one.image) for one in told] == [
        ("pr_curve", None, None),
        ("sample", 3, "data:image/png;base64,aGk="),
    ]


@in_a_folder
def test_a_checkpoint_and_all_of_a_run_can_be_had(journals: Recordings, source: JournalSource) -> None:
    training = journals.whole(content=b"the weights")
    facts = source.news(training.run.id).facts
    assert facts is not None
    [checkpoint] = facts.checkpoints
    assert checkpoint.sha256 is not None
    assert checkpoint.download == f"/data/checkpoint?key={training.run.id}&sha256={checkpoint.sha256}"
    file, parts = source.checkpoint(training.run.id, checkpoint.sha256)
    assert (b"".join(parts), file.size) == (b"the weights", 11)
    _, parts = source.archive(training.run.id)
    with zipfile.ZipFile(io.BytesIO(b"".join(parts))) as read:
        assert read.read("console.txt") == b"line 0\nline 1\nline 2\n"
        assert json.loads(read.read("epochs.json"))[2]["values"] == {"loss": 1 / 3}
        assert read.read("checkpoints/final.pt") == b"the weights"


@in_a_folder
@pytest.mark.parametrize("sha256", ["", "0" * 64, "../journal.db", ".."])
def test_no_other_file_can_be_had_as_a_checkpoint(journals: Recordings, source: JournalSource, sha256: str) -> None:
    with pytest.raises(UnknownRun):
        source.checkpoint(journals.whole().run.id, sha256)


@in_a_folder
def test_nothing_is_written_and_nothing_can_be_done(journals: Recordings, source: JournalSource) -> None:
    training = journals.whole()
    before = _files(journals.journal.path)
    source.runs()
    source.news(training.run.id)
    source.pictures(training.run.id)
    list(source.console(training.run.id))
    with pytest.raises(Refused):
        source.act(training.run.id, "delete")
    assert _files(journals.journal.path) == before


@in_a_folder
def test_a_mirror_and_a_pack_show_what_the_journal_shows(
    journals: Recordings, source: JournalSource, tmp_path: Path
) -> None:
    training = journals.whole()
    store = FolderStore(tmp_path / "mirror")
    Mirroring(journals.journal, store).step()
    pack = tmp_path / "runs.pack"
    _pack(journals, pack)
    with viewed_mirror(store.address) as mirror, viewed_pack(pack) as packed:
        for other in (mirror, packed):
            mine, same = source.news(training.run.id), other.news(training.run.id)
            assert mine.line is not None
            assert same.line is not None
            assert (same.line.state, same.line.metrics) == ("completed", mine.line.metrics)
            assert (same.epochs, same.console) == (mine.epochs, mine.console)
            assert same.facts is not None
            assert [(one.name, one.download) for one in same.facts.checkpoints] == [("final.pt", None)]


@in_a_folder
def test_what_is_new_in_a_mirror_is_shown(journals: Recordings, tmp_path: Path) -> None:
    clock = Clock()
    training = journals.begin()
    training.started()
    store = FolderStore(tmp_path / "mirror")
    mirroring = Mirroring(journals.journal, store)
    mirroring.step()
    before = _files(store.folder)
    with taken_copy._temporary() as copy:
        mirror = MirrorSource(store.address, copy, clock)
        cursor = mirror.news(training.run.id).cursor
        epoch(training, 0, 0.5)
        mirroring.step()
        added = _files(store.folder)
        assert list(mirror.news(training.run.id, cursor).epochs.at) == []  # it was looked at a moment ago
        clock.now += 10
        assert list(mirror.news(training.run.id, cursor).epochs.at) == [0]
    assert _files(store.folder) == added != before


def _refuse(training: Bench) -> None:
    training.register()
    training.plan(training.message())
    [claim] = training.claim()
    training.record(Outcome(claim, "dead", error="too old"))


def _pack(journals: Recordings, path: Path) -> None:
    with ExitStack() as stack:
        archive.write(contents.collect(stack, journals.journal, None), path, None, lambda _: None)


def _files(folder: Path) -> dict[str, bytes]:
    """Return what is in a folder, but the memory that SQLite's processes share, in which readers note themselves."""
    files = [one for one in folder.rglob("*") if one.is_file() and one.suffix != ".db-shm"]
    return {str(one.relative_to(folder)): one.read_bytes() for one in files}
