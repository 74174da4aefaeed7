"""A run of any loop: a real journal, real drains, a real local platform."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
import os
import pickle
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.platform_api import Api
from support.recordings import KEY, recordings

import uploader
from uploader.errors import SettingsError
from uploader.live.active_run import ActiveRun
from uploader.recording.copy_times import CopyTimes
from uploader.server.running import running

ROOT = Path(__file__).parents[3]
Start = Callable[..., ActiveRun]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def start(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start runs in the journal; those that a test leaves open are ended."""
    monkeypatch.setenv("UPLOADER_FALLBACK", str(tmp_path / "fallback"))
    monkeypatch.chdir(tmp_path)
    started: list[ActiveRun] = []

    def begin(**options: Any) -> ActiveRun:
        started.append(uploader.start_run(**{"project": "demo", "name": "train", "journal": folder, **options}))
        return started[-1]

    yield begin
    for run in started:
        run.finish()


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with running(tmp_path / "platform", api_key=KEY) as server:
        yield Api(server.url, server.api_key)


def cancel(platform: Path) -> None:
    with closing(sqlite3.connect(platform / "platform.db")) as store, store:
        store.execute("UPDATE models SET status = 'cancelled'")


def drain(folder: Path, url: str, **options: Any) -> None:
    with recordings(folder) as opened:
        assert opened.drain(url, **options).exit_code == 0


def rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "journal.db")) as database:
        return database.execute(query).fetchall()


def events(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [json.loads(text) for (text,) in rows(folder, f"SELECT payload FROM events WHERE kind = '{kind}'")]


def recorded(folder: Path) -> dict[str, list[Any]]:
    table = uploader.open(folder).run().metrics()
    return {name: column for name, column in table.items() if name != "recorded_at"}


def states(folder: Path) -> dict[str, str]:
    return {run.run.name: run.status().state for run in uploader.open(folder).runs()}


def shown(api: Api) -> dict[int, dict[str, Any]]:
    return {each["epoch"]: each["metrics"] for each in api.model()["trainResults"]}


def test_a_run_arrives_whole(start: Start, folder: Path, api: Api, tmp_path: Path) -> None:
    weights = tmp_path / "any name.ckpt"
    with start(config={"epochs": 3, "lr": 0.1, "api_key": "secret"}) as run:
        print("printed by the loop")
        for epoch in range(3):
            run.log({"train/loss": np.float32(0.5) / (epoch + 1)}, step=epoch)
            run.log({"val": {"acc": epoch / 4}, "note": "text"}, step=epoch)
            weights.write_bytes(b"w" * (epoch + 1))
            run.log_checkpoint(weights, role="best" if epoch == 1 else "last")
        run.summary["best acc"] = 0.25
        weights.write_bytes(b"best")
        run.log_checkpoint(weights, role="best", step=1)
    drain(folder, api.url)
    losses = [0.5, 0.25, float(np.float32(0.5) / 3)]
    assert recorded(folder) == {"epoch": [0, 1, 2], "train/loss": losses, "val/acc": [0.0, 0.25, 0.5]}
    assert shown(api) == {epoch: {"train/loss": loss, "val/acc": epoch / 4} for epoch, loss in enumerate(losses)}
    model = api.model()
    assert (model["status"], model["epochs"], model["bestEpoch"]) == ("completed", 3, 1)
    assert model["trainArgs"] == {"epochs": "3", "lr": "0.1", "api_key": "***"}
    assert model["metrics"] == {"train/loss": losses[2], "val/acc": 0.5, "best acc": 0.25}
    assert model["file"]["sha256"] == hashlib.sha256(b"best").hexdigest()
    assert "printed by the loop" in "".join(chunk["content"] for chunk in model["consoleChunks"])
    assert model["environment"]["uploaderRun"] == run.id


def test_a_step_that_waits_is_sent_once_with_all_that_was_logged_of_it(start: Start, folder: Path, api: Api) -> None:
    with start() as run:
        for number in range(12):
            run.log({f"m{number}": number}, step=number // 4)
    drain(folder, api.url)
    assert shown(api)[2] == {"m8": 8, "m9": 9, "m10": 10, "m11": 11}
    assert rows(folder, "SELECT count(*) FROM deliveries WHERE kind = 'epoch_end'") == [(3,)]
    assert len(events(folder, "epoch_end")) == 12  # each was durable at once


def test_a_step_can_be_added_to_however_many_were_logged_since_and_in_another_session(
    start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uploader.live.steps.KEPT", 1)
    run = start()
    for step in (0, 1, 2, 0):
        run.log({f"m{step}": step, "last": run.next_step}, step=step)
    run.finish()
    again = start(folder=run.folder, resume=True)
    again.log({"more": 5}, step=0)
    again.finish()
    table = recorded(folder)
    assert (table["m0"], table["last"], table["more"]) == ([0, None, None], [3, 1, 2], [5, None, None])
    assert events(folder, "epoch_end")[-1]["revision"] == 3


def test_a_step_that_was_sent_is_replaced_when_more_is_logged_of_it(start: Start, folder: Path, api: Api) -> None:
    run = start()
    run.log({"a": 1}, step=3)
    drain(folder, api.url)
    assert shown(api) == {3: {"a": 1}}
    run.log({"b": 2}, step=3)
    drain(folder, api.url)
    assert shown(api) == {3: {"a": 1, "b": 2}}


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ValueError("bad, token=abcdefgh"), "ValueError", "bad, token=***"),
        (KeyboardInterrupt(), "KeyboardInterrupt", "KeyboardInterrupt"),
        (SystemExit(3), "SystemExit", "3"),
    ],
)
def test_an_exception_ends_it_as_failed(
    start: Start, folder: Path, error: BaseException, code: str, message: str
) -> None:
    run = start()

    def loop() -> None:
        with run:
            run.log({"a": 1})
            raise error

    with pytest.raises(type(error)):
        loop()
    assert events(folder, "training_failed") == [{"error": message, "code": code}]
    assert uploader.open(folder).run().status().state == "failed"
    run.log({"a": 2})
    assert len(events(folder, "epoch_end")) == 1


def test_to_exit_without_a_failure_is_no_failure(start: Start, folder: Path) -> None:
    with pytest.raises(SystemExit), start():
        sys.exit()
    assert uploader.open(folder).run().status().state == "finished"


def test_a_reason_may_be_told(start: Start, folder: Path) -> None:
    start().finish("out of patience")
    assert events(folder, "training_failed") == [{"error": "out of patience", "code": "Failed"}]


def test_nothing_that_is_wrong_reaches_the_loop(
    start: Start, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Unreadable:
        def item(self) -> float:
            raise ValueError

        def __str__(self) -> str:
            raise RuntimeError

    wrong: Any = [1]
    wrong_name: Any = Unreadable()
    with start() as run:
        run.log(wrong)
        run.log({"a": Unreadable(), "b": 1, Unreadable(): 1}, step="three")
        run.log({"b": 2}, step=-1)
        for _ in range(2):
            run.log_checkpoint(tmp_path / "nothing.pt")
            run.log_image("nothing", tmp_path / "nothing.png")
        run.log_checkpoint(__file__, role="newest")
        run.log_checkpoint(wrong)
        run.summary[wrong_name] = Unreadable()
        assert repr(run.summary) == repr({"<Unreadable>": "<Unreadable>"})
    assert recorded(folder) == {"epoch": [0, 1], "b": [1, 2], "<Unreadable>": [1, None]}
    assert [each.role for each in uploader.open(folder).run().checkpoints()] == ["last", "final"]
    told = [message.partition(" ")[2] for message in caplog.messages if message.startswith("Uploader: ")]
    assert len(told) == len({*told}) == 7
    assert {"2 times a step was given that is none"} < {*told}
    assert any("not three (str)" in each for each in told)


def test_neither_a_pipe_nor_a_text_that_cannot_be_read_holds_up_or_ends_a_loop(
    start: Start, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Unreadable:
        def __str__(self) -> str:
            raise RuntimeError

    unreadable: Any = Unreadable()
    os.mkfifo("pipe.png")
    run = start(system=False)
    run.log_image("pipe", "pipe.png")
    run.log_image(unreadable, "nothing.png")
    run.log_plot(unreadable, [1], [1, 2])
    run.finish(error=unreadable)
    assert "pipe.png is no file" in caplog.text
    assert events(folder, "training_failed")[0]["error"] == "<Unreadable>"


@pytest.mark.parametrize("wrong", [{"durability": "x"}, {"folder": 5}, {"rank": "0"}, {"resume": 1.5}])
def test_an_argument_that_cannot_be_used_is_told_as_that(start: Start, wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        start(**wrong)


def test_a_checkpoint_that_gave_way_to_a_newer_one_is_not_missed(
    start: Start, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CopyTimes, "due", lambda *_, **__: math.inf)  # only when somebody waits
    with start(system=False) as run:
        snapshots = run._recording.run.recorder._snapshots  # type: ignore[union-attr]
        for step in range(3):
            saved = Path(f"{step}.ckpt")
            saved.write_bytes(b"weights")
            run.log_checkpoint(saved, role="best", step=step)
            if step < 2:
                saved.unlink()
                snapshots.wait(60)
    assert "ckpt" not in caplog.text
    run = start(system=False)
    for role in ("best", "last"):
        saved.write_bytes(b"weights")
        run.log_checkpoint(saved, role=role, step=4)
    saved.unlink()
    run.finish(error="stopped")
    assert caplog.text.count("2.ckpt was not snapshotted: it was removed before it was copied") == 2


def test_a_stream_that_nobody_can_write_to_stops_nothing(
    start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    with start() as run:
        run.log({"a": 1})
    assert recorded(folder)["a"] == [1]
    assert sys.stderr is closed


def test_threads_may_log_at_once(start: Start, folder: Path) -> None:
    run = start()
    threads = [threading.Thread(target=lambda: [run.log({"a": 1}) for _ in range(25)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert recorded(folder)["epoch"] == list(range(100))


class Watched:
    """The lock of a run, which tells when a second thread asks for it."""

    def __init__(self, lock: Any, asked: threading.Event) -> None:
        self.lock, self.asked, self.count = lock, asked, 0

    def __enter__(self) -> None:
        self.count += 1
        if self.count == 2:
            self.asked.set()
        self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.lock.release()


def test_a_step_is_written_before_the_next_version_of_it_is_made(
    start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the older version could be written last, and would count."""
    recording: Any = start()._recording
    second = threading.Event()  # the second thread waits for the first, or is in the middle of it
    write = recording.run.events.event
    written: list[int] = []

    def event(kind: str, payload: Any, key: str) -> None:
        if threading.current_thread() is other:
            second.set()
        else:
            other.start()
            assert second.wait(60)
        written.append(payload["revision"])
        write(kind, payload, key)

    other = threading.Thread(target=lambda: recording.log({"b": 2}, 0))
    monkeypatch.setattr(recording, "_lock", Watched(recording._lock, second))
    monkeypatch.setattr(recording.run.events, "event", event)
    recording.log({"a": 1}, 0)
    other.join()
    assert (written, recorded(folder)) == ([1, 2], {"epoch": [0], "a": [1], "b": [2]})


def test_a_run_that_nobody_holds_ends(start: Start, folder: Path) -> None:
    def cell(error: Exception | None) -> None:
        run = uploader.start_run(project="demo", name=f"cell{len(ended)}", journal=folder)
        run.log({"a": 1})
        ended.append(run._recording._has_ended)  # type: ignore[union-attr]
        if error is not None:
            sys.last_value = error  # as an interactive Python does, before the next cell runs

    ended: list[threading.Event] = []
    for error in (None, ValueError("in a cell")):
        cell(error)
        assert ended[-1].wait(60)
    del sys.last_value
    assert states(folder) == {"cell0": "finished", "cell1": "failed"}


def test_an_error_in_a_later_cell_is_not_that_of_the_run_before(
    start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    monkeypatch.setattr(sys, "last_value", None, raising=False)
    runs = [start(name="one"), start(name="two")]
    monkeypatch.setattr(sys, "last_value", KeyboardInterrupt())
    for run in runs:
        run.abandon()
    assert states(folder) == {"one": "finished", "two": "failed"}


def test_a_folder_has_one_run_at_a_time(start: Start, folder: Path, tmp_path: Path) -> None:
    """A cell of a notebook is run again."""
    first = start(folder=tmp_path / "here", resume=True)
    first.log({"a": 0})
    again = start(folder=tmp_path / "here", resume=True)
    again.log({"a": again.next_step})
    assert (first.is_open, again.is_open, again.id) == (False, True, first.id)
    assert recorded(folder)["a"] == [0, 1]


def test_two_runs_in_one_process_keep_their_output_apart(start: Start, folder: Path) -> None:
    one, other = start(name="one"), start(name="other")
    one.log({"a": 1})
    print("of one")
    other.log({"a": 2})
    print("of the other")
    one.finish()
    other.finish()
    runs = {run.run.name: run for run in uploader.open(folder).runs()}
    assert ["of one" in runs[name].console() for name in ("one", "other")] == [True, False]
    assert ["of the other" in runs[name].console() for name in ("one", "other")] == [False, True]
    assert [runs[name].metrics()["a"] for name in ("one", "other")] == [[1], [2]]


def test_only_the_first_rank_records(start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    with start(folder="here") as run:
        assert run.folder == Path.cwd() / "here"
        run.log({"a": 1})
        run.log_checkpoint(__file__)
        run.summary["b"] = 1
        assert not run.stop_requested
    assert (run.id, folder.exists()) == ("", False)
    assert start(rank=0).id


def test_another_process_that_is_given_the_run_records_nothing(start: Start, folder: Path) -> None:
    run = start(config={"lr": 1})
    copy = pickle.loads(pickle.dumps(run))
    copy.log({"a": 1})
    assert (copy.id, copy.config, events(folder, "epoch_end")) == ("", {"lr": 1}, [])


def test_names_that_change_are_said_once_and_kept_as_they_were_given(
    start: Start, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = start(project="Über_Projekt", name="Train", config={"lr": 1})
    first.finish("stopped")
    start(project="Bees", name=None, config={"name": "mine"}).finish()
    said = [line for line in capsys.readouterr().err.splitlines() if "spells names" in line]
    assert [line.partition(": project ")[2] for line in said] == ["'Über_Projekt' becomes 'berprojekt'"]
    told = [each["trainArgs"] for each in events(folder, "training_started")]
    assert told == [{"project": "Über_Projekt", "name": "Train", "lr": "1"}, {"project": "Bees", "name": "mine"}]
    start(folder=first.folder, project=None, name=None, resume=True).finish()
    assert "spells names" not in capsys.readouterr().err


def test_it_goes_on_where_it_was_by_its_folder_its_id_or_its_name(start: Start, folder: Path, tmp_path: Path) -> None:
    first = start(folder=tmp_path / "here", resume=True)  # there is none yet: it is new
    first.log({"a": 0})
    first.finish("stopped")
    for resume in (tmp_path / "here", first.id, "demo/train"):
        with start(resume=resume) as again:
            assert (again.id, again.resumed, again.folder) == (first.id, True, tmp_path / "here")
            again.log({"a": again.next_step})
    assert recorded(folder) == {"epoch": [0, 1, 2, 3], "a": [0, 1, 2, 3]}
    assert events(folder, "training_started")[-1]["trainArgs"] == {"resume": "True"}


def test_it_goes_on_in_another_journal_as_the_same_model_at_the_next_step(
    start: Start, folder: Path, api: Api, tmp_path: Path
) -> None:
    best = tmp_path / "best.pt"
    best.write_bytes(b"best")
    with start(folder="here") as first:
        first.log({"a": 0})
        first.log_checkpoint(best, role="best")
        first.log({"a": 1})
        first.summary["note"] = "text"
    drain(folder, api.url)
    with start(folder="here", resume=True, journal="other", project=None, name=None) as again:
        assert (again.id, again.next_step, dict(again.summary)) == (first.id, 2, {"note": "text"})
        again.log({"a": 2})
    drain(Path("other"), api.url)
    assert shown(api) == {step: {"a": step} for step in range(3)}
    assert uploader.open("other").run().checkpoints()[-1].epoch == 0


def test_where_it_goes_on_without_its_earlier_journal_is_known_or_told(
    start: Start, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = start(folder="here")
    first.log({"a": 0})
    first.log_checkpoint(__file__)
    killed = Path("here/uploader_run.json").read_bytes()
    first.log({"a": 1})
    first.finish()
    shutil.rmtree(folder)
    for journal, step in (("other", 2), ("third", 1)):
        assert "without its earlier steps" not in caplog.text
        with start(folder="here", resume=True, journal=journal) as again:
            assert (again.id, again.next_step) == (first.id, step)
        Path("here/uploader_run.json").write_bytes(killed)
    assert caplog.text.count("without its earlier steps") == 1


def test_what_was_best_before_it_went_on_is_its_result(start: Start, folder: Path, api: Api, tmp_path: Path) -> None:
    best, last = tmp_path / "best.pt", tmp_path / "last.pt"
    best.write_bytes(b"best")
    first = start()
    first.log_checkpoint(best, role="best", step=4)
    first.summary.update({"best acc": 0.5, "note": "text"})
    first.finish("stopped")
    with start(resume=first.id) as again:
        last.write_bytes(b"last")
        again.log_checkpoint(last, step=9)
        assert repr(again.summary) == repr({"best acc": 0.5, "note": "text"})
    told = {each["role"]: each["publish"] for each in events(folder, "checkpoint")}
    assert told == {"best": True, "last": False, "final": True}
    drain(folder, api.url)
    model = api.model()
    assert model["file"]["sha256"] == hashlib.sha256(b"best").hexdigest()
    assert (model["metrics"], model["bestEpoch"]) == ({"best acc": 0.5}, 4)


def test_what_was_best_before_is_the_result_also_where_its_file_is_gone(
    start: Start, folder: Path, api: Api, tmp_path: Path
) -> None:
    best = tmp_path / "best.pt"
    best.write_bytes(b"best")
    first = start()
    first.log_checkpoint(best, role="best", step=4)
    first.finish("stopped")
    best.write_bytes(b"another loop's")
    with start(resume=first.id) as again:
        again.log_checkpoint(__file__, step=9)
    assert {each["role"]: each["publish"] for each in events(folder, "checkpoint")} == {
        "best": True, "last": False, "final": True,
    }  # fmt: skip
    assert contents(folder)["final"] == b"best"
    drain(folder, api.url)
    model = api.model()
    assert (model["bestEpoch"], model["file"]["sha256"]) == (4, hashlib.sha256(b"best").hexdigest())
    with start(resume=first.id) as better:
        best.write_bytes(b"better")
        better.log_checkpoint(best, role="best", step=12)
    assert contents(folder)["final"] == b"better"


def test_a_step_that_is_logged_again_in_another_journal_takes_the_place_of_the_whole(
    start: Start, folder: Path, api: Api, tmp_path: Path
) -> None:
    """That journal does not have what else was logged of it, and a platform is told of a step as a whole."""
    first = start(folder="here")
    first.log({"a": 1, "b": 1}, step=0)
    first.log({"a": 2, "b": 2}, step=1)
    first.finish()
    drain(folder, api.url)
    with start(folder="here", resume=True, journal=tmp_path / "other") as again:
        again.log({"a": 5}, step=1)
        again.log({"a": 6})
    drain(tmp_path / "other", api.url)
    told = {each["epoch"]: each["metrics"] for each in api.model()["trainResults"]}
    assert told == {0: {"a": 1, "b": 1}, 1: {"a": 5}, 2: {"a": 6}}


def contents(folder: Path) -> dict[str, bytes]:
    with recordings(folder) as opened:
        kept = uploader.open(folder).run().checkpoints()
        return {each.role: opened.journal.blobs.path(each.sha256).read_bytes() for each in kept if each.is_kept}


def test_the_result_is_what_was_logged_whatever_its_file_is_at_the_end(
    start: Start, folder: Path, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once: list[str] = []

    def due(_: object, role: str, now: float, *, is_last: bool, **__: bool) -> float:
        at_once.extend([role] * is_last)
        return now

    monkeypatch.setattr(CopyTimes, "due", due)
    weights = Path("ckpt.pt")
    with start(system=False) as run:
        for step, content in enumerate((b"first", b"good", b"late")):
            weights.write_bytes(content)
            run.log({"a": step}, step=step)
            run.log_checkpoint(weights)
            if step == 1:
                run.log_checkpoint(weights, role="best")
            run._recording.run.recorder.wait_for_snapshots()  # type: ignore[union-attr]
        weights.unlink()
    assert (at_once, contents(folder)) == (["best"], {"last": b"late", "best": b"good", "final": b"good"})
    drain(folder, api.url)
    model = api.model()
    assert (model["bestEpoch"], model["file"]["sha256"]) == (1, hashlib.sha256(b"good").hexdigest())


@pytest.mark.parametrize("role", ["best", "last"])
def test_weights_that_were_written_over_before_they_were_copied_are_missed_aloud(
    start: Start, folder: Path, role: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CopyTimes, "due", lambda *_, **__: math.inf)  # only when somebody waits
    weights = Path("ckpt.pt")
    weights.write_bytes(b"1")
    with start(system=False) as run:
        run.log_checkpoint(weights, role=role, step=4)
        weights.write_bytes(b"22")
    [told] = [message for message in caplog.messages if "were not kept" in message]
    assert f"the {role} weights, of step 4," in told
    assert contents(folder) == ({} if role == "best" else {"final": b"22"})
    [complete] = events(folder, "training_complete")
    assert "bestEpoch" not in complete["results"]


def test_steps_that_look_like_a_final_evaluation_are_steps(start: Start, folder: Path, api: Api) -> None:
    steps: dict[int, dict[str, float]] = {0: {"train/loss": 1.0}, 1: {"metrics/acc": 0.5}, 2: {"metrics/acc": 0.75}}
    with start(config={"epochs": 3}, platform=["ultralytics", "hub"]) as run:
        for step, values in steps.items():
            run.log(values, step=step)
    drain(folder, api.url, hub=api.url)
    assert shown(api) == steps
    texts = [json.loads(text) for (text,) in rows(folder, "SELECT body FROM deliveries WHERE kind = 'metrics'")]
    told = {int(step): json.loads(text) for body in texts for step, text in body["metrics"].items()}
    assert told == steps
    expected = {"epoch": [0, 1, 2], "train/loss": [1.0, None, None], "metrics/acc": [None, 0.5, 0.75]}
    assert recorded(folder) == expected
    assert uploader.open(folder).run().status().epochs == 3


def test_a_folder_of_weights_is_kept_as_an_archive(start: Start, folder: Path, api: Api, tmp_path: Path) -> None:
    saved = tmp_path / "checkpoint-7"
    saved.mkdir()
    (saved / "weights").write_bytes(b"old")
    with start(system=False) as run:
        run.log_checkpoint(saved, step=6)
        (tmp_path / "cached").write_bytes(b"newer")
        (saved / "weights").unlink()
        (saved / "weights").symlink_to(tmp_path / "cached")
        run.log_checkpoint(saved, step=7)
    drain(folder, api.url)
    [final] = [each for each in uploader.open(folder).run().checkpoints() if each.role == "final"]
    assert (final.filename, final.epoch) == ("last.tar", 7)
    with recordings(folder) as opened, tarfile.open(opened.journal.blobs.path(final.sha256)) as archive:
        [weights] = [each for each in archive if each.isfile()]
        assert (weights.name, archive.extractfile(weights).read()) == ("checkpoint-7/weights", b"newer")  # type: ignore[union-attr]
    assert api.model()["file"]["sha256"] == final.sha256
    assert events(folder, "training_started")[0]["system"] is None


def test_images_plots_and_words_are_shown_where_a_platform_shows_such(
    start: Start, folder: Path, api: Api, tmp_path: Path
) -> None:
    with start() as run:
        run.log({"loss": float("nan"), "note": "<b>bold</b>"})
        run.log_image("wrong", "nowhere.png")
        run.log_image("first", np.zeros((2, 2), "uint8"))
        run.log_image("first", np.ones((2, 2), "uint8"))
        run.log_plot("roc", [0, 0.5, 1], {"a": [0, 0.75, 1]}, step=4)
        run.summary.update({"kind": "small", "score": 1})
    drain(folder, api.url)
    image, plot = uploader.open(folder).run().media()
    assert (image.name, image.step, image.form, image.mime) == ("first", 0, "image", "image/png")
    assert (plot.step, plot.x, plot.y) == (4, [0.0, 0.5, 1.0], {"a": [0.0, 0.75, 1.0]})
    assert uploader.open(folder).run().summary() == {"kind": "small", "score": 1}
    media = api.get("/api/models/local/demo/train/media")["media"]
    assert [(each["name"], each["form"]) for each in media] == [("roc", "plot"), ("first", "image")]
    assert base64.b64decode(media[1]["data"]) == image.content
    assert api.model()["results"]["summary"] == {"kind": "small", "score": 1}
    pictures, told = (api.get(f"/data/{each}?key=local/demo/train") for each in ("pictures", "run"))
    assert [(each["name"], each["step"]) for each in pictures] == [("roc", 4), ("first", 0)]
    assert pictures[1]["image"] == f"data:image/png;base64,{media[1]['data']}"
    assert {each["name"]: each["value"] for each in told["facts"]["others"]} == {"loss": "nan", "note": "<b>bold</b>"}


def test_a_platform_that_does_not_say_that_it_shows_images_is_sent_none(
    start: Start, folder: Path, tmp_path: Path
) -> None:
    with start() as run:
        run.log_image("first", np.zeros((2, 2), "uint8"))
        run.summary["kind"] = "small"
    with running(tmp_path / "other", api_key=KEY, contract="2025") as server:
        drain(folder, server.url)
        other = Api(server.url, KEY)
        assert other.get("/api/models/local/demo/train/media")["media"] == []
        assert (other.model()["status"], other.model()["results"]["metrics"]) == ("completed", {})
        assert "summary" not in other.model()["results"]


def test_a_run_to_go_on_with_that_is_not_there_is_told_at_once(start: Start) -> None:
    start().finish()
    with pytest.raises(SettingsError, match="fits no run"):
        start(resume="0000")
    with pytest.raises(SettingsError, match="name it"):
        start(resume=True)
    for wrong in ({"resume": ""}, {"resume": 1}, {"rank": "0"}):
        with pytest.raises(SettingsError, match="must be"):
            start(**wrong)
    assert not start(resume=None).resumed


def test_a_platform_may_ask_it_to_stop(start: Start, folder: Path, api: Api, tmp_path: Path) -> None:
    run = start()
    drain(folder, api.url)
    assert not run.stop_requested
    cancel(tmp_path / "platform")
    run.log({"a": 1})
    drain(folder, api.url)
    while not run.stop_requested:  # it looks now and then only
        pass
    run.finish()


SCRIPT = """
import os, signal, sys, multiprocessing
import uploader
run = uploader.start_run(project="demo", name="train", journal=sys.argv[1], folder=sys.argv[2], resume=True)
run.log({"a": 1}, step=run.next_step)
def child():
    run.log({"a": 2})
    run.summary["of"] = "the child"
    run.finish()
if sys.argv[3] == "fork":
    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    print("child", process.exitcode, flush=True)
elif sys.argv[3] == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
elif sys.argv[3] == "raise":
    raise ValueError("of the script")
"""


@pytest.fixture
def script(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[int, str]]:
    """Run a script that never ends its run; return its exit code and what it printed."""
    monkeypatch.setenv("UPLOADER_FALLBACK", str(tmp_path / "fallback"))

    def execute(how: str) -> tuple[int, str]:
        command = [sys.executable, "-c", SCRIPT, str(folder), str(tmp_path / "run"), how]
        done = subprocess.run(
            command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout

    return execute


def test_however_a_process_ends_its_run_is_known_and_goes_on(
    script: Callable[[str], tuple[int, str]], folder: Path, api: Api
) -> None:
    assert script("kill")[0] == -signal.SIGKILL
    drain(folder, api.url)
    assert (api.model()["status"], shown(api)) == ("failed", {0: {"a": 1}})
    assert script("raise")[0] == 1
    assert events(folder, "training_failed") == [{"error": "of the script", "code": "ValueError"}]
    assert script("fork") == (0, "child 0\n")
    assert events(folder, "summary") == []
    drain(folder, api.url)
    assert (api.model()["status"], shown(api)) == ("completed", {step: {"a": 1} for step in range(3)})
    assert len(uploader.open(folder).runs()) == 1
