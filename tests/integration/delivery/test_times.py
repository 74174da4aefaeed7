"""What a platform tells of a training that is delivered late: the same as of one that it was told of live."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.journals import IN_A_FILE, change, dead_pid, rows
from support.platform_api import Api
from support.recordings import KEY, Recordings, Training, recordings
from support.scripted_server import ScriptedServer

import uploader
from journal.clock import to_text, utc_now
from uploader.__main__ import main
from uploader.server.running import running

ON_BOTH_ENGINES = True
BEGUN = utc_now() - timedelta(days=3)
DAY = 24 * 3600.0
STEP = 15.0
"""Seconds from one event to the next."""

Events = list[tuple[str, dict[str, Any]]]


class Clock:
    """The clock of a server."""

    now = BEGUN

    def __call__(self) -> float:
        return self.now.timestamp()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def api(tmp_path: Path, clock: Clock) -> Iterator[Api]:
    with running(tmp_path / "live", api_key=KEY, clock=clock) as server:
        yield Api(server.url, KEY)


@pytest.fixture
def late(tmp_path: Path, clock: Clock) -> Iterator[Api]:
    with running(tmp_path / "late", api_key=KEY, clock=clock) as server:
        yield Api(server.url, KEY)


def epoch(number: int, *, losses: int | None = None) -> tuple[str, dict[str, Any]]:
    """An epoch, or the final evaluation of a training whose last epoch was `losses`."""
    trained = number if losses is None else losses
    metrics = {"train/box_loss": 1 / (trained + 1), "metrics/mAP50(B)": 0.1 * trained, "lr": 0.01}
    validated = {"val/box_loss": 2.0} if losses is None else {}
    return "epoch_end", {"epoch": number, "metrics": metrics | validated, "fitness": 0.1 * trained}


def console(number: int) -> tuple[str, dict[str, Any]]:
    return "console_output", {"chunkId": number, "content": f"line {number}", "lineCount": 1, "progress": {}}


STARTED = ("training_started", {"epochs": 3, "environment": {}, "trainArgs": {"epochs": "3"}})
COMPLETE = ("training_complete", {"results": {"bestEpoch": 1}, "classNames": ["box"], "plots": []})
FAILED = ("training_failed", {"error": "CUDA error", "code": "RuntimeError"})

TRAININGS: dict[str, tuple[Events, str, int]] = {
    "whole": ([STARTED, console(1), epoch(0), epoch(1), epoch(2), epoch(3, losses=2), COMPLETE], "completed", 3),
    "stopped early": ([STARTED, epoch(0), epoch(1), epoch(2, losses=1), COMPLETE], "stopped early", 2),
    "failed": ([STARTED, epoch(0), FAILED], "failed", 1),
    "killed": ([STARTED, epoch(0), epoch(1)], "interrupted", 2),
}


def stream(api: Api, clock: Clock, events: Events) -> None:
    """Send events the moment they happen, as a client does that knows no times."""
    target = {"project": "demo", "name": "train"}
    for number, (event, data) in enumerate(events):
        clock.now = moment(number)
        answer = api.event(event, data, **target)
        target = {"modelId": answer["modelId"]}


def record(journals: Recordings, events: Events) -> Training:
    """Record the same events at the same times."""
    training = journals.begin()
    for event, data in events:
        training.event(event, data, str(data.get("epoch", data.get("chunkId", ""))))
    date(journals, [moment(number) for number in range(len(events))])
    training.end("complete")
    return training


def moment(number: int) -> datetime:
    return BEGUN + timedelta(seconds=STEP * number)


def date(journals: Recordings, times: list[datetime]) -> None:
    """Date the journal's events."""
    folder = journals.journal.path
    for (number,), at in zip(rows(folder, "SELECT id FROM events ORDER BY id"), times, strict=True):
        change(folder, "UPDATE events SET created_at = ? WHERE id = ?", to_text(at), number)


def kill(journals: Recordings, training: Training, last_sign: datetime) -> None:
    facts = (dead_pid(), to_text(BEGUN), to_text(last_sign), training.session_id)
    killed = "SET pid = ?, started_at = ?, heartbeat_at = ?, ended_at = NULL, outcome = NULL WHERE id = ?"
    change(journals.journal.path, f"UPDATE sessions {killed}", *facts)


def told(api: Api) -> dict[str, Any]:
    """What the platform tells of the training: its state, its times and how far it is."""
    model, timing = api.model(), timing_of(api)
    return {
        "state": model["state"],
        "started": model["startedAt"],
        "ended": model.get("completedAt", timing["heardAt"]),
        "epochs": [(each["epoch"], each["endedAt"], each["durationMs"]) for each in timing["epochs"]],
        "results": [each["timestamp"] for each in model["trainResults"]],
        "console": [each["timestamp"] for each in model.get("consoleChunks", ())],
        "timing": [timing[name] for name in ("elapsedMs", "timePerEpochMs", "etaMs")],
    }


def timing_of(api: Api) -> dict[str, Any]:
    timing: dict[str, Any] = api.get("/api/models/local/demo/train/training")["job"]["timing"]
    return timing


@pytest.mark.parametrize("how", TRAININGS)
def test_a_training_delivered_days_later_is_told_of_as_one_streamed_live(
    journals: Recordings, api: Api, late: Api, clock: Clock, how: str
) -> None:
    events, state, epochs = TRAININGS[how]
    stream(api, clock, events)
    training = record(journals, events)
    if how == "killed":
        kill(journals, training, moment(len(events) - 1))
    clock.now = BEGUN + timedelta(days=2)
    assert journals.drain(late.url).exit_code == 0
    assert told(late) == told(api)
    assert (told(late)["state"], len(told(late)["epochs"])) == (state, epochs)
    assert told(late)["epochs"][-1][2] == 1000 * STEP
    model = late.model()
    assert model["createdAt"] == timing_of(late)["epochs"][0]["arrivedAt"] == model["updatedAt"] > model["startedAt"]


@IN_A_FILE
@pytest.mark.parametrize(("heartbeat", "heard"), [(3, 3), (0, 1)], ids=["by a heartbeat", "by an event"])
def test_a_killed_training_was_interrupted_when_it_was_last_heard_of_whenever_that_is_told(
    journals: Recordings, api: Api, late: Api, clock: Clock, tmp_path: Path, *, heartbeat: int, heard: int
) -> None:
    training, last_sign = record(journals, [STARTED, epoch(0)]), moment(heard)
    kill(journals, training, moment(heartbeat))
    run = uploader.open(journals.journal.path).run()
    assert (run.times().ended_at, run.times().seconds) == (to_text(last_sign), heard * STEP)
    assert run.status().last_sign_at == to_text(last_sign)
    journals.journal.fold_wal()
    shutil.copytree(journals.journal.path, tmp_path / "copy")
    for days, platform, folder in ((0, api, journals.journal.path), (2, late, tmp_path / "copy")):
        clock.now = moment(4) + timedelta(days=days)
        with recordings(folder) as opened:
            assert opened.drain(platform.url).exit_code == 0
        assert platform.model()["completedAt"][:23] == to_text(last_sign)[:23]
        assert (platform.model()["state"], platform.model()["trainingError"]["code"]) == ("interrupted", "Interrupted")


def test_a_resumed_training_is_running_again_and_its_pause_belongs_to_no_epoch(
    journals: Recordings, late: Api, clock: Clock
) -> None:
    first = record(journals, [STARTED, epoch(0)])
    kill(journals, first, moment(1))
    clock.now = moment(200)
    journals.drain(late.url)
    assert late.model()["state"] == "interrupted"
    again = journals.begin(run_id=first.run.id)
    for event, data in (STARTED, epoch(1)):
        again.event(event, data, str(data.get("epoch", "")))
    date(journals, [*map(moment, (0, 1)), moment(1), *map(moment, (150, 152))])
    journals.drain(late.url)
    model = late.model()
    assert (model["status"], model["startedAt"][:19]) == ("running", to_text(moment(150))[:19])
    assert [each["durationMs"] for each in timing_of(late)["epochs"]] == [1000 * STEP, 2000 * STEP]
    assert [each["startedAt"][:19] for each in timing_of(late)["runs"]] == [to_text(moment(n))[:19] for n in (0, 150)]


def test_a_cancelled_training_is_told_of_as_cancelled_when_its_end_comes_days_later(
    journals: Recordings, late: Api, clock: Clock
) -> None:
    training = journals.begin()
    training.event(*STARTED)
    training.event(*epoch(0), "0")
    date(journals, [moment(0), moment(1)])
    clock.now = moment(1)
    journals.drain(late.url)
    assert late.request("DELETE", "/api/models/local/demo/train/training").ok
    for event, data in (epoch(1), epoch(2, losses=1), COMPLETE):
        training.event(event, data, str(data.get("epoch", "")))
    date(journals, [moment(number) for number in range(5)])
    clock.now = moment(1) + timedelta(days=1)
    journals.drain(late.url)
    model = late.model()
    assert (model["status"], model["state"], len(timing_of(late)["epochs"])) == ("cancelled", "cancelled", 2)
    assert model["completedAt"][:19] == to_text(moment(4))[:19]


def test_a_journal_calls_a_training_cancelled_that_ended_after_it_was_told_to(journals: Recordings, api: Api) -> None:
    training = journals.begin()
    training.event(*STARTED)
    journals.drain(api.url)
    api.request("DELETE", "/api/models/local/demo/train/training")
    training.event(*epoch(0), "0")
    journals.drain(api.url)
    assert journals.journal.report()[0].state == "running"
    training.event(*epoch(1, losses=0), "1")
    training.event(*COMPLETE)
    training.end("complete")
    (report,) = journals.journal.report()
    assert (report.state, report.epochs) == ("cancelled", 1)
    assert states_told(journals) == {"cancelled"}
    again = journals.begin(run_id=training.run.id)
    again.event(*STARTED)
    again.event(*COMPLETE)
    again.end("complete")
    assert journals.journal.report()[0].state == "finished"


def test_one_that_had_ended_before_it_was_cancelled_has_finished(journals: Recordings, api: Api) -> None:
    training = journals.begin()
    training.event(*STARTED)
    journals.drain(api.url)
    training.event(*epoch(0), "0")
    training.event(*COMPLETE)
    training.end("complete")
    api.request("DELETE", "/api/models/local/demo/train/training")
    journals.drain(api.url)
    assert states_told(journals) == {"finished"}


def test_one_that_failed_after_it_was_told_to_stop_has_failed(journals: Recordings, api: Api) -> None:
    training = journals.begin()
    training.event(*STARTED)
    journals.drain(api.url)
    api.request("DELETE", "/api/models/local/demo/train/training")
    training.event(*epoch(0), "0")
    journals.drain(api.url)
    training.event("training_failed", {"error": "out of memory"})
    training.end("failed")
    assert states_told(journals) == {"failed"}


def states_told(journals: Recordings) -> set[str]:
    """Return the state of the only run, as each command and reader tells it."""
    folder = journals.journal.place

    def printed(*arguments: str) -> str:
        done = CliRunner().invoke(main, [*arguments, "--journal", str(folder)])
        assert done.exit_code == 0, done.output
        return done.stdout

    return {
        journals.journal.report()[0].state,
        uploader.status(folder).runs[0].state,
        uploader.open(folder).run().status().state,
        json.loads(printed("status", "--json"))["runs"][0]["state"],
        json.loads(printed("show", "--json"))["state"],
        json.loads(printed("show", "--json"))["times"]["state"],
        printed("show").splitlines()[0].split()[-1],
    }


def test_a_clock_that_is_ahead_or_was_set_back_or_was_never_set_makes_no_nonsense(
    journals: Recordings, late: Api, clock: Clock
) -> None:
    events = [STARTED, epoch(0), epoch(1), epoch(2), COMPLETE]
    record(journals, events)
    times = [moment(0), moment(1), moment(-20), moment(0) + timedelta(days=4000), moment(5)]
    date(journals, times)
    clock.now = moment(10)
    assert journals.drain(late.url).exit_code == 0
    ended = [(each["endedAt"][:19], each["durationMs"]) for each in timing_of(late)["epochs"]]
    assert ended[:2] == [(to_text(moment(1))[:19], 1000 * STEP), (to_text(moment(-20))[:19], None)]
    assert ended[2][0] == to_text(moment(10))[:19]
    assert late.shown()["epochs"]["took"][:2] == [1000 * STEP, None]
    journals.begin("other").event(*STARTED)
    date(journals, [*times, datetime.fromisoformat("1970-01-01T00:00:09+00:00")])
    journals.drain(late.url)
    assert late.model("other")["startedAt"][:19] == to_text(moment(10))[:19]


@pytest.mark.parametrize("contract", ["2026", "2025"])
def test_a_checkpoint_was_saved_when_it_was_and_arrived_when_it_did(
    journals: Recordings, clock: Clock, tmp_path: Path, contract: str
) -> None:
    training = journals.begin()
    training.event(*STARTED)
    training.checkpoint(b"weights")
    date(journals, [moment(0), moment(1)])
    clock.now = BEGUN + timedelta(days=2)
    with running(tmp_path / "platform", api_key=KEY, clock=clock, contract=contract) as server:
        assert journals.drain(server.url).exit_code == 0
        (checkpoint,) = Api(server.url, KEY).model()["checkpoints"]
        (line,) = Api(server.url, KEY).shown()["facts"]["checkpoints"]
    assert checkpoint["savedAt"][:19] == to_text(moment(1))[:19]
    assert (line["saved_at"], line["arrived_at"][:19]) == (checkpoint["savedAt"], to_text(clock.now)[:19])


def test_hub_is_told_the_times_too(journals: Recordings, late: Api, clock: Clock) -> None:
    started = ("training_started", {"trainArgs": {"epochs": "2"}, "environment": {"ultralyticsVersion": "8.4.60"}})
    training = record(journals, [started, epoch(0), epoch(1), epoch(2, losses=1)])
    journals.writer.route(training.run.id, "hub", late.url)
    clock.now = BEGUN + timedelta(days=2)
    assert journals.drain("http://unused.invalid", hub=late.url).exit_code == 0
    (model,) = late.get("/v1/models")["data"]["results"]
    assert model["createdAt"][:19] == to_text(clock.now)[:19]
    key = f"hub/{model['id']}"
    line, facts = late.listed(key), late.facts(key)
    assert (line["epochs_done"], line["epochs_planned"]) == (2, 2)
    times = [facts["Started"][:19], facts["Newest result"][:19]]
    assert times == [to_text(moment(0))[:19], to_text(moment(3))[:19]]


def test_each_request_says_when_what_it_tells_of_happened_and_epochs_taken_in_later_say_nothing(
    journals: Recordings, server: ScriptedServer
) -> None:
    events = [STARTED, console(1), console(2), epoch(0)]
    record(journals, events)
    change(
        journals.journal.path,
        "INSERT INTO sessions (run_id, uuid, generation, host, boot_id, pid, started_at, heartbeat_at, ended_at,"
        " purpose) SELECT run_id, 'salvaged', 1, '', '', 0, started_at, heartbeat_at, ended_at, 'salvage'"
        " FROM sessions",
    )
    for number, at in ((1, "started_at"), (2, "'2001-01-01T00:00:00.000000Z'")):  # the second one's is known
        change(
            journals.journal.path,
            "INSERT INTO events (run_id, session_id, kind, key, payload, created_at, seq)"
            f" SELECT run_id, id, 'epoch_end', '{number}', ?, {at}, {number} FROM sessions WHERE uuid = 'salvaged'",
            json.dumps({**epoch(number)[1], "source": "results.csv"}),
        )
    journals.drain(server.url)
    sent = {}
    for request in (each for each in server.requests if each.method == "POST"):
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = request.json()
        sent[body["event"], body["data"].get("epoch")] = headers.get("uploader-times")
    assert sent["console_output", None] == f"{to_text(moment(1))} {to_text(moment(2))}"
    assert sent["epoch_end", 0] == f"{to_text(moment(3))} {to_text(moment(3))}"
    assert sent["epoch_end", 1] is None
    assert sent["epoch_end", 2] == "2001-01-01T00:00:00.000000Z 2001-01-01T00:00:00.000000Z"
