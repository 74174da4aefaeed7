"""What a journal had to give up: the drain ends well without it, and the platform is told."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.platform_api import Api
from support.recordings import KEY, Recordings, Training

from journal.outbox.backlog import Selection
from uploader.delivery.next_plan import plan_next
from uploader.server.running import running

MB = 1_000_000


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with running(tmp_path / "platform", api_key=KEY) as server:
        yield Api(server.url, server.api_key)


def shrink(journals: Recordings, by: int) -> None:
    with closing(journals.journal.writer()) as writer:
        writer.space(writer.size().total - by).for_events()


def text(api: Api) -> str:
    return "\n".join(chunk["content"] for chunk in api.model()["consoleChunks"])


def begun(journals: Recordings) -> Training:
    training = journals.begin()
    training.started()
    for number in range(100):
        training.console(number, f"line {number} " + "x" * 5_000)
        training.epoch(number)
    training.checkpoint(b"b" * MB, "best")
    return training


def test_what_was_given_up_before_the_first_drain(journals: Recordings, api: Api) -> None:
    training = begun(journals)
    shrink(journals, by=MB + 300_000)
    final = training.checkpoint(b"f" * 2 * MB)
    training.complete()
    training.end()
    summary = journals.drain(api.url)
    assert summary.exit_code == 0
    model = api.model()
    assert len(model["trainResults"]) == 100
    assert model["file"]["sha256"] == final
    assert model["status"] == "completed"
    shown = text(api)
    assert "Uploader: given up: 1 checkpoint (1 MB), because the journal has reached its limit" in shown
    assert "console chunks (" in shown
    assert "line 0 " not in shown
    assert "line 99 " in shown


def test_what_was_given_up_while_it_waited_to_be_sent(journals: Recordings, api: Api) -> None:
    """The upload was planned by a drain that could reach nobody."""
    training = begun(journals)
    with closing(journals.journal.outbox()) as outbox:
        destination = outbox.routes.add_destination("ultralytics", api.url)
        outbox.routes.add(training.run.id, destination.id)
        (target,) = outbox.routes.targets()
        unplanned = outbox.backlogs.read(target, 1000, Selection())
        assert unplanned is not None
        plan, _ = plan_next(unplanned, target, 1000)
        outbox.plans.write(target, plan.deliveries, through=plan.through, stage=plan.stage)
    shrink(journals, by=MB // 2)
    training.end("crashed")
    assert journals.drain(api.url).exit_code == 0
    assert "given up: 1 checkpoint (" in text(api)
    assert "line 0 " in text(api)  # it was planned
    assert (api.model().get("file") or {}).get("sha256") != hashlib.sha256(b"b" * MB).hexdigest()
