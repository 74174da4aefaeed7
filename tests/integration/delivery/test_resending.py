"""Sending runs again whole, and announcing refused ones under another project or name."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
from support.journals import IN_A_FILE, change, rows
from support.platform_api import Api
from support.recordings import KEY, Recordings, Training
from support.scripted_server import Reply, Request, ScriptedServer, free_port, hub_received, received
from support.verified import trained

import uploader
from journal.clock import utc_now
from journal.doctor import examine
from journal.errors import UnknownRow
from journal.outbox.backlog import Selection
from journal.outbox.outbox import Outbox
from journal.retention.eviction import bytes_arrived
from uploader.server.running import RunningServer, running

ON_BOTH_ENGINES = True


def resend(journals: Recordings) -> None:
    with closing(journals.journal.outbox()) as outbox:
        targets = outbox.routes.targets(dropped=True)
    for target in targets:
        journals.journal.resend(target.run.id, target.destination.id)


def shown(model: dict[str, Any]) -> dict[str, Any]:
    """Return what a model holds, without the ids and times that its platform gave it."""
    results = [(each["epoch"], each["metrics"]) for each in model["trainResults"]]
    console = [each["content"] for each in model["consoleChunks"]]
    return {"status": model["status"], "file": model["file"]["sha256"], "results": results, "console": console}


@pytest.mark.parametrize("contract", ["2026", "2025"])
def test_a_platform_that_lost_its_data_is_filled_again(journals: Recordings, tmp_path: Path, contract: Any) -> None:
    journals.whole()
    states, port = [], free_port()
    for data in ("first", "second"):
        with running(tmp_path / data, api_key=KEY, contract=contract, port=port) as server:
            assert journals.drain(server.url).exit_code == 0
            states.append([shown(model) for model in Api(server.url, KEY).get("/api/models/local/demo")["models"]])
        resend(journals)
    assert states[1] == states[0]
    assert states[0][0]["file"] == hashlib.sha256(b"weights").hexdigest()


@pytest.mark.parametrize("contract", ["2026", "2025"])
@pytest.mark.parametrize("idempotency", [True, False])
def test_a_platform_that_has_it_all_shows_nothing_twice(
    journals: Recordings, tmp_path: Path, contract: Any, idempotency: bool
) -> None:
    journals.whole()
    with running(tmp_path / "platform", api_key=KEY, contract=contract, idempotency=idempotency) as server:
        api = Api(server.url, KEY)
        assert journals.drain(server.url).exit_code == 0
        before = shown(api.model())
        for _ in range(2):
            resend(journals)
            summary = journals.drain(server.url)
            assert (summary.exit_code, summary.destinations[0].delivered) == (0, 9)
        assert shown(api.model()) == before
        assert len(api.get("/api/models/local/demo")["models"]) == 1


def test_what_may_have_been_registered_is_looked_for_before_it_is_sent_again(
    journals: Recordings, tmp_path: Path
) -> None:
    journals.begin().started()
    with running(tmp_path / "platform", api_key=KEY, idempotency=False) as server:
        journals.drain(server.url)
        with journals.journal.begin() as connection:  # as if the answer had been lost
            connection.exec_driver_sql("UPDATE targets SET ids = '{}', state = 'new'")
        resend(journals)
        assert journals.drain(server.url).exit_code == 0
        assert len(Api(server.url, KEY).get("/api/models/local/demo")["models"]) == 1


@pytest.mark.parametrize("names_sessions", [True, False])
@pytest.mark.parametrize("idempotency", [True, False])
def test_what_was_cancelled_there_stays_one_cancelled_model(
    journals: Recordings, tmp_path: Path, names_sessions: bool, idempotency: bool
) -> None:
    if names_sessions:
        trained(journals)
    else:
        journals.whole()
    with running(tmp_path / "platform", api_key=KEY, idempotency=idempotency) as server:
        api = Api(server.url, KEY)
        journals.drain(server.url)
        cancel(server)
        before = shown(api.model())
        for _ in range(2):
            resend(journals)
            assert journals.drain(server.url).exit_code == 0
        assert [shown(model) for model in api.get("/api/models/local/demo")["models"]] == [before]
        assert before["status"] == "cancelled"


def test_so_does_a_resumed_run_whose_sessions_have_no_names(journals: Recordings, tmp_path: Path) -> None:
    """Such a model is not looked up, as it may be that of the session before."""
    first = journals.begin()
    first.started()
    first.end("interrupted")
    journals.begin(run_id=first.run.id).started()
    with running(tmp_path / "platform", api_key=KEY, idempotency=False) as server:
        journals.drain(server.url)
        cancel(server)
        resend(journals)
        assert journals.drain(server.url).exit_code == 0
        models = Api(server.url, KEY).get("/api/models/local/demo")["models"]
        assert [model["status"] for model in models] == ["cancelled"]


def test_a_training_that_was_resumed_after_its_model_was_cancelled_is_a_new_model_also_if_it_is_sent_again(
    journals: Recordings, tmp_path: Path
) -> None:
    """Nothing of the resumed session has been taken when the run is sent again, so it is registered as any other."""
    first = journals.begin()
    first.started(environment=session_of(first, 1))
    with running(tmp_path / "platform", api_key=KEY) as platform:
        journals.drain(platform.url)
        cancel(platform)
        first.end("interrupted")
        second = journals.begin(run_id=first.run.id)
        second.started(environment=session_of(second, 2, first))
        with closing(journals.journal.outbox()) as outbox:
            plan_all(outbox)
        resend(journals)
        assert journals.drain(platform.url).exit_code == 0
        models = Api(platform.url, KEY).get("/api/models/local/demo")["models"]
        assert sorted(model["status"] for model in models) == ["cancelled", "running"]


def session_of(training: Training, generation: int, parent: Training | None = None) -> dict[str, Any]:
    """Return the environment of a session as trainings of Ultralytics report it."""
    uuids = dict(rows(training.journal.path, "SELECT id, uuid FROM sessions"))
    led = uuids[parent.session_id] if parent else None
    session = {"uuid": uuids[training.session_id], "generation": generation, "parent": led}
    return {"uploaderRun": training.run.id, "uploaderSession": session}


def cancel(server: RunningServer) -> None:
    with closing(sqlite3.connect(server.data / "platform.db")) as store, store:
        store.execute("UPDATE models SET status = 'cancelled'")


@IN_A_FILE
def test_a_run_leads_to_its_own_model_after_that_was_made_anew_under_another_name(
    journals: Recordings, tmp_path: Path
) -> None:
    """Its name was given to another run's model while it had none."""
    first = journals.whole("same")
    with running(tmp_path / "platform", api_key=KEY) as server:
        api, summaries = Api(server.url, KEY), [journals.drain(server.url)]
        assert api.request("DELETE", "/api/models/local/demo/same").ok
        journals.whole("same")
        summaries.append(journals.drain(server.url))
        journals.journal.resend(first.run.id, 1)
        summaries.append(journals.drain(server.url))
        model = {
            each["environment"]["uploaderRun"]: each["model"] for each in api.get("/api/models/local/demo")["models"]
        }
        opened = uploader.open(journals.journal.path)
        pages = [opened.run(run_id).status().targets[0].page for run_id in model]
        assert pages == [f"{server.url}/runs/local/demo/{each}" for each in model.values()]
        assert [opened.run(run_id).times().models for run_id in model] == [(page,) for page in pages]
        assert summaries[2].destinations[0].models == (f"{server.url}/runs/local/demo/{model[first.run.id]}",)
    assert model[first.run.id] == "same-2"


def test_what_was_refused_for_a_model_that_is_gone_arrives(journals: Recordings, server: ScriptedServer) -> None:
    training = journals.begin()
    training.started()
    journals.drain(server.url)
    gone = True

    def script(request: Request) -> Reply:
        if gone and request.method == "POST" and "modelId" in request.json():
            return Reply(404, {"error": "no such model"})
        return received(request)

    server.script = script
    training.epoch(0)
    assert journals.drain(server.url).exit_code == 4
    assert journals.journal.report()[0].targets[0].state == "blocked"
    server.requests.clear()
    resend(journals)

    def anew(request: Request) -> Reply:
        if request.method == "POST" and request.json().get("modelId") == "m-1":
            return Reply(404, {"error": "no such model"})
        reply = received(request)
        return Reply(body={**reply.body, "modelId": "m-2"}) if request.method == "POST" else reply

    server.script = anew
    assert journals.drain(server.url).exit_code == 0
    assert [(body["event"], body.get("modelId")) for body in server.bodies()] == [
        ("training_started", "m-1"),
        ("training_started", None),
        ("epoch_end", "m-2"),
    ]


def test_what_is_sent_again_has_ids_of_its_own_which_the_doctor_knows(
    journals: Recordings, server: ScriptedServer
) -> None:
    journals.whole()
    for _ in range(3):
        journals.drain(server.url)
        resend(journals)
    journals.drain(server.url)
    keys = [request.headers["idempotency-key"] for request in server.requests if "idempotency-key" in request.headers]
    assert len(keys) == len(set(keys))
    ids = [one for (one,) in rows(journals.journal.path, "SELECT chunk_id FROM deliveries WHERE kind = 'epoch_end'")]
    assert sorted(one.partition(".")[2] for one in ids) == ["", "", "", *["2"] * 3, *["3"] * 3, *["4"] * 3]
    resend(journals)
    with closing(journals.journal.outbox()) as outbox:
        plan_all(outbox)
    assert "delivery-damaged" not in {finding.code for finding in examine(journals.journal.path).findings}


def plan_all(outbox: Outbox) -> None:
    from uploader.delivery.next_plan import plan_next

    (target,) = outbox.routes.targets()
    unplanned = outbox.backlogs.read(target, 100, Selection())
    assert unplanned is not None
    plan, _ = plan_next(unplanned, target, 100)
    assert plan.deliveries
    outbox.plans.write(target, plan.deliveries, through=plan.through, stage=plan.stage)


def test_bytes_that_are_to_be_sent_again_have_not_arrived(journals: Recordings, server: ScriptedServer) -> None:
    journals.whole()
    journals.drain(server.url)
    with journals.journal._transaction(read_only=True) as connection:
        assert bytes_arrived(connection, 1)
    resend(journals)
    with journals.journal._transaction(read_only=True) as connection:
        assert not bytes_arrived(connection, 1)
    assert journals.journal.prune(utc_now()).runs == 0


def test_hub_that_lost_its_models_gets_the_run_anew(journals: Recordings, server: ScriptedServer) -> None:
    server.script = hub_received
    training = journals.begin()
    training.started()
    training.epoch(0)
    training.end()
    assert journals.drain("", hub=server.url).exit_code == 0
    made = []

    def emptied(request: Request) -> Reply:
        if request.path.endswith("/models/m-1"):
            return Reply(404, {"success": False, "message": "no such model"})
        if request.path == "/v1/models" and request.method == "POST":
            made.append(request)
            return Reply(body={"success": True, "data": {"id": "m-2"}})
        return hub_received(request)

    server.script = emptied
    resend(journals)
    assert journals.drain("", hub=server.url).exit_code == 0
    assert len(made) == 1
    assert journals.journal.report()[0].targets[0].ids == {"modelId": "m-2"}


# --- another project or name


def refusing(project: str, status: int) -> Any:
    def script(request: Request) -> Reply:
        if request.method == "POST" and request.json().get("project") == project:
            return Reply(status, {"error": f"no access to {project}"})
        return received(request)

    return script


@pytest.mark.parametrize("status", [400, 403])
def test_a_run_that_a_project_refuses_arrives_in_another(
    journals: Recordings, server: ScriptedServer, status: int
) -> None:
    run = journals.whole(project="other/secret").run
    server.script = refusing("other/secret", status)
    journals.drain(server.url)
    renamed = journals.journal.rename(run.id, project="mine", name="night")
    assert (renamed.run.project, renamed.run.name, renamed.kept) == ("mine", "night", ())
    assert journals.drain(server.url).exit_code == 0
    starts = [each for each in server.requests if each.method == "POST" and b"training_started" in each.body]
    assert [(each.json()["project"], each.json()["name"]) for each in (starts[0], starts[-1])] == [
        ("other/secret", "train"),
        ("mine", "night"),
    ]
    assert starts[0].headers["idempotency-key"] != starts[-1].headers["idempotency-key"]
    assert server.bodies()[-1]["event"] == "training_complete"


def test_what_was_never_sent_keeps_its_ids(journals: Recordings) -> None:
    run = journals.whole().run
    with closing(journals.journal.outbox()) as outbox:
        outbox.routes.add(run.id, outbox.routes.add_destination("ultralytics", "http://127.0.0.1:9").id)
        plan_all(outbox)
    query = "SELECT id, chunk_id, state FROM deliveries"
    before = rows(journals.journal.path, query)
    assert journals.journal.rename(run.id, project="mine").announced_anew == 0
    assert rows(journals.journal.path, query) == before


def test_a_registration_of_unknown_outcome_is_looked_for_before_it_is_made_anew(
    journals: Recordings, server: ScriptedServer
) -> None:
    run = journals.whole().run
    asked = threading.Event()

    def broken(_: Request) -> Reply:
        asked.set()
        return Reply(reset=True)

    server.script = broken
    with journals.draining(server.url, watch=True):
        assert asked.wait(100)
    server.requests.clear()
    server.script = received
    assert journals.journal.rename(run.id, project="mine").announced_anew == 1
    assert journals.drain(server.url).exit_code == 0
    assert [request.method for request in server.requests][:3] == ["GET", "GET", "POST"]


def lose_the_answer(journals: Recordings) -> None:
    """Have the journal as it was before the answer to a registration came."""
    change(journals.journal.path, "UPDATE deliveries SET state = 'pending', settled_at = NULL, receipt = NULL")
    change(journals.journal.path, "UPDATE targets SET state = 'new', ids = '{}'")


@pytest.mark.parametrize("projects", [("mine",), ("mine", "ours"), (None, "ours")])
def test_a_run_that_was_taken_in_its_former_project_is_found_there(
    journals: Recordings, tmp_path: Path, projects: tuple[str | None, ...]
) -> None:
    training = journals.begin(project=None if None in projects else "demo")
    training.started()
    with running(tmp_path / "platform", api_key=KEY) as platform:
        journals.drain(platform.url)
        ids = journals.journal.report()[0].targets[0].ids
        lose_the_answer(journals)
        for project in projects:
            journals.journal.rename(training.run.id, project=project, name="night")
        training.complete()
        training.end()
        assert journals.drain(platform.url).exit_code == 0
        assert journals.journal.report()[0].targets[0].ids["modelId"] == ids["modelId"]


class LosingWay:
    """What is between a drain and a platform: it loses all answers until it is mended.

    Attributes:
        made: Ids of the models whose registrations were taken.
        lost: Released at each answer that is lost.
    """

    def __init__(self, url: str) -> None:
        self.made: list[str] = []
        self.is_mended = False
        self.lost = threading.Semaphore(0)
        self._url = url

    def __call__(self, request: Request) -> Reply:
        headers = {name: request.headers[name] for name in ("authorization", "content-type") if name in request.headers}
        url, body = self._url + request.path, request.body
        answer = requests.request(request.method, url, data=body, headers=headers, timeout=100)
        if b"training_started" in body:
            self.made.append(answer.json()["modelId"])
        if self.is_mended:
            return Reply(answer.status_code, answer.content)
        self.lost.release()
        return Reply(reset=True)


@pytest.fixture
def way(tmp_path: Path, server: ScriptedServer) -> Iterator[LosingWay]:
    with running(tmp_path / "platform", api_key=KEY, idempotency=False) as platform:
        server.script = way = LosingWay(platform.url)
        yield way


def test_a_run_that_was_taken_in_a_former_default_project_is_found_there(
    journals: Recordings, server: ScriptedServer, way: LosingWay
) -> None:
    """Also when registrations were tried in another one since, and went nowhere."""
    training = journals.begin(project=None)
    training.started()
    for project in ("first", "second"):
        with journals.draining(server.url, project=project, watch=True):
            assert way.lost.acquire(timeout=100)
        due_now(journals)
    way.is_mended = True
    assert journals.drain(server.url, project="third").exit_code == 0
    [model_id] = way.made
    assert journals.journal.report()[0].targets[0].ids["modelId"] == model_id


def test_a_run_that_was_given_up_and_taken_up_again_is_found_in_its_former_project(
    journals: Recordings, server: ScriptedServer, way: LosingWay
) -> None:
    training = journals.begin()
    training.started()
    with journals.draining(server.url, watch=True):
        assert way.lost.acquire(timeout=100)
    journals.journal.drop_destination(1)
    journals.journal.rename(training.run.id, project="mine")
    way.is_mended = True
    assert journals.drain(server.url, to=server.url).exit_code == 0
    [model_id] = way.made
    assert journals.journal.report()[0].targets[0].ids["modelId"] == model_id


def due_now(journals: Recordings) -> None:
    due = "UPDATE deliveries SET next_attempt_at = created_at, held = 0 WHERE state = 'pending'"
    change(journals.journal.path, due)


def test_a_platform_that_has_the_run_keeps_its_name(journals: Recordings, server: ScriptedServer) -> None:
    run = journals.whole().run
    journals.drain(server.url)
    with pytest.raises(UnknownRow, match="already"):
        journals.journal.rename(run.id, name="other")
    journals.drain(f"http://127.0.0.1:{free_port()}", to=f"http://127.0.0.1:{free_port()}")
    with closing(journals.journal.outbox()) as outbox:
        outbox.routes.add(run.id, outbox.routes.add_destination("ultralytics", "http://127.0.0.1:9").id)
    assert journals.journal.rename(run.id, name="other").kept == (server.url,)


def test_a_run_that_a_platform_knows_by_its_name_keeps_it(journals: Recordings, tmp_path: Path) -> None:
    run = journals.whole().run
    with running(tmp_path / "platform", api_key=KEY, contract="2025") as platform:
        journals.drain(platform.url)
        with closing(journals.journal.outbox()) as outbox:
            outbox.routes.add(run.id, outbox.routes.add_destination("ultralytics", "http://127.0.0.1:9").id)
        with pytest.raises(UnknownRow, match="by its project and name"):
            journals.journal.rename(run.id, name="other")
