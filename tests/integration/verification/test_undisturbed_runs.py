"""Whatever a run went through, nothing is said of it once it has been delivered, over each kind of platform."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass

import pytest
import requests
from soaks.public_shapes import public_platform
from support.journals import change, rows
from support.recordings import KEY, Recordings, Training
from support.verified import said, trained, verified

from uploader.server.running import RunningServer
from uploader.verification.runs import send_again

ON_BOTH_ENGINES = True


@dataclass(frozen=True)
class At:
    """A journal and the platform that it is drained to."""

    journals: Recordings
    server: RunningServer
    url: str

    def drain_meanwhile(self) -> None:
        """Deliver what is due while the training goes on; its checkpoints wait."""
        assert self.journals.drain(self.url).exit_code in {0, 3}

    def drain(self) -> None:
        assert self.journals.drain(self.url).exit_code == 0

    def said(self) -> list[list[tuple[str, str, str]]]:
        return [said(one) for one in verified(self.journals, self.url, deep=True)]


@pytest.fixture(params=["the local platform", "the SDK's shapes"])
def at(request: pytest.FixtureRequest, journals: Recordings, server: RunningServer) -> Iterator[At]:
    is_local = request.param == "the local platform"
    if not is_local:
        pytest.importorskip("ultralytics_platform", reason="the SDK needs Python 3.11")
    with nullcontext(server) if is_local else public_platform(server.url) as platform:
        yield At(journals, server, platform.url)


@pytest.fixture
def local(journals: Recordings, server: RunningServer) -> At:
    return At(journals, server, server.url)


def resumed(at: At, name: str = "resumed") -> Training:
    first = at.journals.begin(name)
    first.started(epochs=4, trainArgs={"epochs": "4"})
    for number in range(3):
        first.epoch(number)
        first.console(number)
    first.checkpoint(b"last of the first", role="last")
    at.drain_meanwhile()
    at.journals.writer.end_session(first.session_id, "exited")
    second = at.journals.begin(name, run_id=first.run.id)
    second.started(epochs=4, trainArgs={"epochs": "4", "resume": "True"})
    second.event("epoch_end", {"epoch": 2, "metrics": {"loss": 0.123}}, "2")
    return second


def trained_again(at: At) -> None:
    training = resumed(at, "trained_again")
    training.epoch(3)
    training.console(9, "again")
    training.checkpoint(b"final of the second")
    training.complete()
    training.end()


def failed(at: At) -> None:
    training = at.journals.begin("failed")
    training.started()
    training.epoch(0)
    training.event("training_failed", {"error": "CUDA out of memory", "code": "OutOfMemoryError"})
    training.end("failed")


def cancelled(at: At) -> None:
    training = at.journals.begin("cancelled")
    training.started()
    training.epoch(0)
    at.drain_meanwhile()
    path = f"{at.server.url}/api/models/local/demo/cancelled/training"
    assert requests.delete(path, headers={"Authorization": f"Bearer {KEY}"}, timeout=100).ok
    training.epoch(1)
    training.complete()
    training.end()


def strange_text(at: At) -> None:
    training = at.journals.begin("strange_text")
    training.started()
    for number, text in enumerate(["", "a\x00b", "\ud83d half", "😀 \u2028 é", "\r\n\t", "x" * 70_000, " ", "\n"]):
        training.console(number, text or " ")
    training.event("console_output", {"chunkId": 90, "content": "", "lineCount": 0, "progress": {"a": "50%"}}, "90")
    training.epoch(0)


def no_numbers(at: At) -> None:
    training = at.journals.begin("no_numbers")
    training.started()
    metrics = {"nan": float("nan"), "inf": float("inf"), "whole": 3, "tiny": 5e-324, "none": None, "text": "0.5"}
    training.event("epoch_end", {"epoch": 0, "metrics": metrics, "fitness": float("-inf")}, "0")
    training.event("epoch_end", {"epoch": 1, "metrics": {}}, "1")
    training.event("epoch_end", {"epoch": 2}, "2")


def many_checkpoints(at: At) -> None:
    training = at.journals.begin("many_checkpoints")
    training.started()
    for number in range(3):
        training.epoch(number)
        training.checkpoint(f"last {number}".encode(), role="last", publish=False)
        training.checkpoint(f"best {number}".encode(), role="best")
        if number == 1:
            at.drain_meanwhile()
    training.complete()
    training.end()


def same_names(at: At) -> None:
    for _ in range(2):
        trained(at.journals, "train", epochs=1)


def given_up(at: At) -> None:
    training = at.journals.begin("given_up")
    training.started()
    training.epoch(0)
    items = [{"what": "plots", "count": 1, "bytes": 10}]
    training.event("given_up", {"reason": "they are too large", "items": items}, "plots")


def salvaged(at: At) -> None:
    training = at.journals.begin("salvaged")
    training.started()
    exact = {"train/box_loss": 0.123456789, "metrics/mAP50(B)": 0.987654321}
    training.event("epoch_end", {"epoch": 0, "metrics": exact}, "0")
    at.drain_meanwhile()
    rounded = {name: float(f"{value:.5g}") for name, value in exact.items()}
    training.event("epoch_end", {"epoch": 1, "metrics": rounded, "source": "results.csv"}, "1")


def salvaged_over_more_digits(at: At) -> None:
    """A journal that was lost takes in from the trainer's file what the platform has with all digits."""
    training = at.journals.begin("salvaged_over_more_digits")
    training.started()
    training.event("epoch_end", {"epoch": 0, "metrics": {"train/loss": 0.123456789, "val/loss": 0.5}}, "0")
    at.drain_meanwhile()
    for table in ("deliveries", "events"):
        query = f"DELETE FROM {table} WHERE kind = 'epoch_end' AND run_id = ?"
        change(at.journals.journal.path, query, training.run.id)
    rounded = {"epoch": 0, "metrics": {"train/loss": 0.123457, "val/loss": 0.5}, "source": "results.csv"}
    training.event("epoch_end", rounded, "0")


def nothing_but_a_start(at: At) -> None:
    at.journals.begin("nothing_but_a_start").started()


SCENARIOS: list[Callable[[At], object]] = [
    resumed,
    trained_again,
    failed,
    cancelled,
    strange_text,
    no_numbers,
    many_checkpoints,
    same_names,
    given_up,
    salvaged,
    salvaged_over_more_digits,
    nothing_but_a_start,
]


@pytest.mark.once_on_postgres
def test_nothing_is_said_of_them(at: At) -> None:
    for record in SCENARIOS:
        record(at)
    at.drain()
    found = verified(at.journals, at.url, deep=True)
    assert {one.target.run.name: said(one) for one in found if said(one)} == {}
    assert {one.target.run.name for one in found if one.is_right} >= {record.__name__ for record in SCENARIOS} - {
        "same_names"
    }


@pytest.mark.once_on_postgres
def test_a_run_whose_console_was_watched_is_sent_again_without_its_text_twice(at: At) -> None:
    """Joined otherwise than before, chunks would stand beside those that they contain."""
    training = at.journals.begin()
    training.started()
    for number in (0, 3, 6):
        training.console(number)
        at.drain()
        training.console(number + 1)
        training.console(number + 2)
        at.drain()
        training.epoch(number)
    training.complete()
    training.end()
    at.drain()
    [one] = verified(at.journals, at.url)
    at.journals.journal.resend(training.run.id, one.target.destination.id)
    at.drain()
    assert at.said() == [[]]


def test_a_model_that_was_renamed_there_is_found(local: At) -> None:
    trained(local.journals)
    local.drain()
    with closing(sqlite3.connect(local.server.data / "platform.db", timeout=100)) as store:
        assert store.execute("UPDATE models SET slug = 'renamed'").rowcount == 1
        store.commit()
    assert local.said() == [[]]


def test_when_an_epoch_ended_that_was_taken_in_later_nobody_knows(local: At) -> None:
    salvaged(local)
    local.drain()
    with closing(sqlite3.connect(local.server.data / "platform.db", timeout=100)) as store, store:
        assert store.execute("UPDATE epochs SET timestamp = '2091-01-01T00:00:00Z' WHERE epoch = 1").rowcount == 1
    assert local.said() == [[]]


def test_what_is_queued_is_not_queued_twice(local: At) -> None:
    trained(local.journals)
    local.drain()
    [one] = verified(local.journals, local.url)
    requests.delete(
        f"{local.server.url}/api/models/local/demo/train", headers={"Authorization": f"Bearer {KEY}"}, timeout=100
    )
    for _ in range(2):
        [lost] = verified(local.journals, local.url)
        send_again(local.journals.journal, lost)
    local.drain()
    assert local.said() == [[]]
    assert rows(local.journals.journal.path, "SELECT count(*) FROM deliveries WHERE state = 'pending'") == [(0,)]
    assert one.is_right
