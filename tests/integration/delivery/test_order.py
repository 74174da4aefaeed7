"""Order is a property of the run: what an older session tells late is not sent over what a newer one has told."""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.journals import IN_A_FILE, dead_pid, rows
from support.platform_api import Api
from support.recordings import KEY, Recordings, Training

from journal.checkpoints.blobs import file_stamp
from journal.sessions.identity import Session
from journal.writing.fallback import FallbackFile
from journal.writing.payloads import drafts
from uploader.server.running import running

ON_BOTH_ENGINES = True


def begin(journals: Recordings, run_id: str | None = None) -> tuple[Training, Session]:
    """Begin a session whose fallback file may be written here, too."""
    run = journals.writer.start_run(project="demo", name="train", save_dir="/x", run_id=run_id)
    session = Session(run.id)
    row = journals.writer.start_session(run.id, dead_pid(), session)
    return Training(journals.journal, journals.writer, run, row), session


class Beside:
    """What a session tells that comes in late: from a fallback file, or in a shared journal from a slow node."""

    def __init__(self, training: Training, session: Session, folder: Path) -> None:
        self._training = training
        self._folder, self._to = folder / "hidden", folder / "fallback"
        journal = training.journal
        self._late: list[tuple[str, dict[str, Any], str]] = []
        self._file = (
            None if journal.is_shared else FallbackFile([self._folder], journal.path, training.run, session=session)
        )

    def event(self, kind: str, payload: dict[str, Any], key: str = "") -> None:
        if self._file:
            self._file.append(kind, payload, key)
        else:
            self._late.append((kind, payload, key))

    def arrive(self) -> None:
        """Let it be found."""
        if self._file:
            self._file.close()
            shutil.copytree(self._folder, self._to, dirs_exist_ok=True)
            shutil.rmtree(self._folder)
        for kind, payload, key in self._late:
            self._training.event(kind, payload, key)


def epoch(training: Training | Beside, number: int, loss: float) -> None:
    training.event("epoch_end", {"epoch": number, "metrics": {"loss": loss}}, str(number))


def line(training: Training | Beside, number: int) -> None:
    payload = {"chunkId": number, "content": f"line {number}", "lineCount": 1, "progress": {}}
    training.event("console_output", payload, str(number))


def interrupted(journals: Recordings, tmp_path: Path) -> tuple[Training, Beside]:
    """Record a session whose last events nobody has seen yet."""
    first, session = begin(journals)
    first.started(epochs=3)
    epoch(first, 0, 9.0)
    line(first, 1)
    hidden = Beside(first, session, tmp_path)
    line(hidden, 2)
    epoch(hidden, 1, 8.0)
    hidden.event("system_metrics", {"ram": 1})
    hidden.event("training_failed", {"error": "CUDA out of memory", "code": "RuntimeError"})
    return first, hidden


def resumed(journals: Recordings, first: Training) -> Training:
    """Record the session that trained the epoch again, and completed."""
    second, _ = begin(journals, first.run.id)
    second.event("training_started", {"environment": {"uploaderRun": first.run.id}, "epochs": 3}, "2")
    line(second, 3)
    epoch(second, 1, 1.0)
    epoch(second, 2, 0.5)
    second.event("system_metrics", {"ram": 2})
    second.complete()
    second.end("complete")
    return second


@pytest.mark.parametrize("is_delivered_before", [True, False])
def test_an_older_session_that_comes_late_changes_nothing(
    journals: Recordings, tmp_path: Path, is_delivered_before: bool
) -> None:
    first, hidden = interrupted(journals, tmp_path)
    resumed(journals, first)
    with running(tmp_path / "platform", api_key=KEY) as server:
        if is_delivered_before:
            assert journals.drain(server.url).exit_code == 0
        hidden.arrive()
        summary = journals.drain(server.url)
        assert summary.exit_code == 0
        model = Api(server.url, KEY).model()
    assert [(result["epoch"], result["metrics"]["loss"]) for result in model["trainResults"]] == [
        (0, 9.0),
        (1, 1.0),
        (2, 0.5),
    ]
    assert (model["status"], model.get("error")) == ("completed", None)
    assert model["system"] == {"ram": 2}
    assert [chunk["content"] for chunk in model["consoleChunks"]] == ["line 1", "line 2", "line 3"]
    [report] = journals.journal.report()
    assert (report.state, report.targets[0].superseded, report.targets[0].dead) == ("finished", 3, 0)
    folder = journals.journal.path
    assert rows(folder, "SELECT last_milestone FROM run_overview") == [("training_complete",)]
    assert rows(folder, "SELECT epoch, CAST(value AS REAL) FROM metrics") == [(0, 9.0), (1, 1.0), (2, 0.5)]
    assert rows(folder, "SELECT content FROM console") == [("line 1",), ("line 2",), ("line 3",)]


def test_an_epoch_that_nobody_trained_again_is_sent_however_late(journals: Recordings, tmp_path: Path) -> None:
    first, hidden = interrupted(journals, tmp_path)
    second, _ = begin(journals, first.run.id)
    second.event("training_started", {"epochs": 3}, "2")
    epoch(second, 2, 0.5)
    with running(tmp_path / "platform", api_key=KEY) as server:
        assert journals.drain(server.url).exit_code == 0
        hidden.arrive()
        assert journals.drain(server.url).exit_code == 0
        model = Api(server.url, KEY).model()
    assert [result["metrics"]["loss"] for result in model["trainResults"]] == [9.0, 8.0, 0.5]
    assert model["status"] == "failed"  # the second one's process is gone, too


@IN_A_FILE
@pytest.mark.parametrize("is_delivered_before", [True, False])
def test_what_a_session_told_before_its_end_is_not_sent_over_it(
    journals: Recordings, tmp_path: Path, is_delivered_before: bool
) -> None:
    """A fallback file that was too large for the training to take back, or that nobody could see at first."""
    first, _ = begin(journals)
    first.started(epochs=3)
    first.end()
    second, session = begin(journals, first.run.id)
    hidden = Beside(second, session, tmp_path)
    hidden.event("training_started", {"environment": {"uploaderRun": first.run.id}, "epochs": 3}, "2")
    hidden.event("system_metrics", {"ram": 1})
    epoch(hidden, 0, 9.0)
    epoch(hidden, 1, 8.0)
    for kind, payload, key in (
        ("epoch_end", {"epoch": 1, "metrics": {"loss": 1.0}}, "1"),
        ("system_metrics", {"ram": 2}, ""),
        ("training_complete", {"results": {}}, ""),
    ):
        journals.writer.write(session, session.entries(drafts(kind, payload, key)))
    second.end("complete")
    with running(tmp_path / "platform", api_key=KEY) as server:
        if is_delivered_before:
            assert journals.drain(server.url).exit_code == 0
        hidden.arrive()
        assert journals.drain(server.url).exit_code == 0
        assert Api(server.url, KEY).model()["status"] == "completed"
    folder = journals.journal.path
    assert rows(folder, "SELECT kind, state FROM deliveries ORDER BY state, id") == [
        ("training_started", "delivered"),
        ("epoch_end", "delivered"),
        ("system_metrics", "delivered"),
        ("training_complete", "delivered"),
        ("epoch_end", "delivered"),
        ("training_started", "superseded"),
        ("system_metrics", "superseded"),
        ("epoch_end", "superseded"),
    ]


def test_hub_is_not_told_either(journals: Recordings, tmp_path: Path) -> None:
    first, hidden = interrupted(journals, tmp_path)
    resumed(journals, first)
    with running(tmp_path / "platform", api_key=KEY) as server:
        with closing(journals.journal.outbox()) as outbox:
            outbox.routes.add(first.run.id, outbox.routes.add_destination("hub", server.url).id)
        assert journals.drain(server.url, hub=server.url).exit_code == 0
        hidden.arrive()
        assert journals.drain(server.url, hub=server.url).exit_code == 0
    states = "SELECT kind, state, count(*) FROM deliveries GROUP BY kind, state ORDER BY state, kind"
    assert rows(journals.journal.path, states) == [
        ("metrics", "delivered", 2),
        ("training_started", "delivered", 2),
        ("metrics", "superseded", 1),
    ]


def test_a_late_registration_registers_where_nothing_else_does(journals: Recordings, tmp_path: Path) -> None:
    """The newer session's own is what is sent where there is one."""
    first, session = begin(journals)
    late = Beside(first, session, tmp_path)
    late.event("training_started", {"epochs": 1}, "1")
    late.arrive()
    second, _ = begin(journals, first.run.id)
    epoch(second, 0, 1.0)
    with running(tmp_path / "platform", api_key=KEY) as server:
        assert journals.drain(server.url).exit_code == 0
        assert Api(server.url, KEY).model()["epochs"] == 1
        second.event("training_started", {"epochs": 2}, "2")
        other = Beside(first, replace(session, last=7), tmp_path)
        other.event("training_started", {"epochs": 3}, "1")
        other.arrive()
        assert journals.drain(server.url).exit_code == 0
        assert Api(server.url, KEY).model()["epochs"] == 2


def saved(training: Training, path: Path, content: bytes, **facts: Any) -> None:
    """Journal a save that the session does not live to snapshot."""
    path.write_bytes(content)
    found = file_stamp(path) or (0, 0, 0)
    file = {"role": "best", "path": str(path), "publish": True, "size": found[1], "mtimeNs": found[2], **facts}
    training.event("model_saved", {"epoch": 0, "files": [file]}, "0")


def test_older_weights_that_come_late_are_not_the_model(journals: Recordings, tmp_path: Path) -> None:
    """Two copies of one journal: one has taken the file in, and the other's newer weights came in before."""
    first, _ = begin(journals)
    first.started(epochs=1)
    second, _ = begin(journals, first.run.id)
    newest = second.checkpoint(b"newer weights", role="best")
    old = Training(journals.journal, journals.writer, first.run, first.session_id)
    older = old.checkpoint(b"older weights", role="best")
    folder = journals.journal.path
    assert dict(rows(folder, "SELECT sha256, bytes_are FROM checkpoints")) == {newest: "present", older: "removed"}
    with running(tmp_path / "platform", api_key=KEY) as server:
        assert journals.drain(server.url).exit_code == 0
        assert Api(server.url, KEY).model()["file"]["sha256"] == newest
    assert rows(folder, "SELECT sha256, state FROM deliveries WHERE lane = 'upload' ORDER BY id") == [
        (newest, "delivered"),
        (older, "superseded"),
    ]


@IN_A_FILE
def test_what_an_older_session_saved_is_salvaged_unless_a_newer_one_has_saved_since(
    journals: Recordings, tmp_path: Path
) -> None:
    first, _ = begin(journals)
    saved(first, tmp_path / "best.pt", b"older")
    second, _ = begin(journals, first.run.id)
    second.checkpoint(b"newer", role="best")
    assert journals.journal.salvage() == 0
    saved(first, tmp_path / "best.pt", b"older still")  # it comes in late, whenever it was
    assert journals.journal.salvage() == 0
