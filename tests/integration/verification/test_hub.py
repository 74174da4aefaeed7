"""Verifying runs at a HUB: as far as its API tells, and what it does not tell is said."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from support.journals import change
from support.recordings import Recordings
from support.scripted_server import Reply, scripted_server
from support.verified import said, trained, verified

from uploader.server.running import RunningServer
from uploader.verification.runs import send_again

ON_BOTH_ENGINES = True
CHANGES = {
    "epoch 2": "DELETE FROM hub_epochs WHERE epoch = 1",
    "epoch 3": "UPDATE hub_epochs SET metrics = json_set(metrics, '$.\"train/box_loss\"', 7) WHERE epoch = 2",
    "checkpoint best": "DELETE FROM hub_weights WHERE kind = 'best'",
}


@pytest.fixture
def at(journals: Recordings, server: RunningServer) -> Recordings:
    trained(journals)
    assert journals.drain("", hub=server.url, to=server.url, platform="hub").exit_code == 0
    return journals


def harm(server: RunningServer, statement: str) -> None:
    with closing(sqlite3.connect(server.data / "platform.db", timeout=100)) as store:
        store.execute("PRAGMA foreign_keys=ON")
        assert store.execute(statement).rowcount
        store.commit()


def test_what_is_lost_is_found_and_sent_again(at: Recordings, server: RunningServer) -> None:
    [clean] = verified(at, "", hub=server.url, deep=True)
    assert (said(clean), clean.is_right) == ([], True)
    assert clean.counts["proven"] == 1 + 4 + 1 + 1  # the model, its epochs, its weights, its end
    for statement in CHANGES.values():
        harm(server, statement)
    [found] = verified(at, "", hub=server.url)
    assert {item for item, _, _ in said(found)} == {*CHANGES, "completion"}
    send_again(at.journal, found)
    assert at.drain("", hub=server.url).exit_code == 0
    [again] = verified(at, "", hub=server.url, deep=True)
    assert said(again) == []


def test_a_resumed_run_keeps_the_model_that_it_began_with(journals: Recordings, server: RunningServer) -> None:
    first = journals.begin()
    first.started(trainArgs={"model": "yolo11n.pt", "epochs": "2"})
    first.epoch(0)
    first.end("exited")
    journals.drain("", hub=server.url, to=server.url, platform="hub")
    second = journals.begin(run_id=first.run.id)
    second.started(trainArgs={"model": "runs/t1/weights/last.pt", "epochs": "2", "resume": "runs/t1/weights/last.pt"})
    second.epoch(1)
    second.checkpoint(b"final")
    second.end()
    assert journals.drain("", hub=server.url).exit_code == 0
    [found] = verified(journals, "", hub=server.url, deep=True)
    assert (said(found), found.counts["proven"]) == ([], 5)
    harm(server, "UPDATE hub_models SET meta = json_set(meta, '$.name', 'another')")
    [changed] = verified(journals, "", hub=server.url)
    assert [(item, word) for item, word, _ in said(changed)] == [("registration", "different")]


def test_a_model_that_is_gone_is_made_again(at: Recordings, server: RunningServer) -> None:
    harm(server, "DELETE FROM hub_models")
    [found] = verified(at, "", hub=server.url)
    assert {word for _, word, _ in said(found)} == {"missing"}
    send_again(at.journal, found)
    assert at.drain("", hub=server.url).exit_code == 0
    [again] = verified(at, "", hub=server.url, deep=True)
    assert said(again) == []


def test_what_its_api_does_not_tell_is_said(at: Recordings, server: RunningServer) -> None:
    [one] = verified(at, "", hub=server.url)
    model = {
        "id": one.target.ids["modelId"],
        "meta": {"name": "", "uploaderRun": one.target.run.id},
        "status": "trained",
    }
    data = {**model, "has_best_weights": True, "weights": f"{server.url}/nowhere"}

    def answer(request):
        if request.path.endswith("/metrics"):
            return Reply(status=404, body={"error": "no such path"})
        return Reply(body={"success": True, "data": data})

    with scripted_server(answer) as scripted:
        change(at.journal.path, "UPDATE destinations SET base_url = ?", scripted.url)
        [found] = verified(at, "", hub=scripted.url)
    assert {(item, word) for item, word, _ in said(found)} == {
        *(("epoch " + str(number), "unreadable") for number in range(1, 5)),
        ("checkpoint best", "unreadable"),
    }
    assert found.is_right
    assert not at.journal.verifications()[0].is_proven
