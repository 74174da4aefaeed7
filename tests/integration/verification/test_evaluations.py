"""That an epoch is the final evaluation is said to a platform of ours, beside what upstream sends, and holds there."""

from __future__ import annotations

from support.platform_api import Api
from support.recordings import KEY, Recordings
from support.scripted_server import scripted_server
from support.verified import said, verified

from journal.evaluations import SAID
from journal.kinds import EPOCH
from uploader.server.running import RunningServer

ON_BOTH_ENGINES = True
SCORE = {"metrics/acc": 0.5}


def record(journals: Recordings, *epochs: bool) -> None:
    """Record a training whose epochs look alike, and of each whether it is the evaluation."""
    training = journals.begin()
    training.started(epochs=100)
    for number, is_evaluation in enumerate(epochs):
        training.event(EPOCH, {"epoch": number, SAID: is_evaluation, "metrics": SCORE}, str(number))
    training.complete()
    training.end()


def test_the_local_platform_counts_as_the_journal_does(journals: Recordings, server: RunningServer) -> None:
    record(journals, False, False, True)
    assert journals.drain(server.url).exit_code == 0
    api = Api(server.url, KEY)
    assert api.get("/api/models/local/demo/train/training")["job"]["progress"]["currentEpoch"] == 2
    assert [report.epochs for report in journals.journal.report()] == [2]
    assert [one["epoch"] for one in api.model()["trainResults"]] == [0, 1, 2]
    [found] = verified(journals, server.url)
    assert said(found) == []


def test_what_upstream_sends_is_all_that_is_in_the_body(journals: Recordings) -> None:
    record(journals, False, True)
    with scripted_server() as server:
        assert journals.drain(server.url).exit_code == 0
        epochs = [one for one in server.requests if one.method == "POST" and one.json().get("event") == EPOCH]
    epochs.sort(key=lambda one: one.json()["data"]["epoch"])  # they are sent at once
    assert [one.json()["data"] for one in epochs] == [{"epoch": number, "metrics": SCORE} for number in range(2)]
    headers = [{name.lower(): value for name, value in one.headers.items()} for one in epochs]
    assert [one["uploader-evaluation"] for one in headers] == ["no", "yes"]
