"""Models that clients make and change directly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.platform_api import Api, put

from uploader.server.running import running

MODEL = "/api/models/local/demo/train"


def patch(api: Api, **fields: Any) -> dict[str, Any]:
    response = api.request("PATCH", MODEL, json=fields)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def create(api: Api, **fields: Any) -> dict[str, Any]:
    response = api.post("/api/models", {"project": "demo", **fields})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def test_metadata_is_returned_as_it_was_set_and_replaced_as_a_whole(api: Api) -> None:
    api.start()
    assert api.model()["metadata"] == {}
    assert patch(api, metadata={"heads": {"a": [1, None]}, "é": "\udc80"}) == {"success": True, "model": "train"}
    assert api.model()["metadata"] == {"heads": {"a": [1, None]}, "é": "\udc80"}
    patch(api, metadata={"other": 1})
    assert api.model()["metadata"] == {"other": 1}


def test_events_leave_the_metadata_as_it_is(api: Api) -> None:
    run = api.start()
    patch(api, metadata={"heads": 1})
    api.event("epoch_end", {"epoch": 0, "metrics": {}}, modelId=run["modelId"])
    api.event("training_complete", {"results": {}}, modelId=run["modelId"])
    api.event("training_started", {}, modelId=run["modelId"])
    assert api.model()["metadata"] == {"heads": 1}


def test_metadata_beyond_its_limits_is_refused_and_changes_nothing(api: Api) -> None:
    api.start()
    longest = {"k" * 128: "é" * (500_000 - len(json.dumps({"k" * 128: ""}, separators=(",", ":"))))}
    patch(api, metadata=longest)
    for metadata in ({"k" * 129: 1}, {"a": [{"k" * 129: 1}]}, {"a": "x" * 499_993}, ["no object"]):
        assert api.request("PATCH", MODEL, json={"metadata": metadata}).status_code == 422
    assert api.model()["metadata"] == longest


def test_metadata_of_any_depth_is_stored_or_refused(api: Api) -> None:
    api.start()
    for depth in (50, 900, 980, 1000, 20_000):
        body = '{"metadata": {"a": ' + "[" * depth + "]" * depth + "}}"
        answer = api.request("PATCH", MODEL, data=body)
        assert answer.status_code in {200, 400, 413, 422}, depth
        assert api.model()["status"] == "running"


def test_what_describes_a_model_is_set_field_by_field(api: Api) -> None:
    api.start()
    assert patch(api, name="Cars, second try")["slug"] == "train"
    assert patch(api, starred=True) == {"starred": True, "starCount": 1}
    patch(api, description="why", license="MIT", color=None, version="2")
    model = api.model()
    assert (model["name"], model["model"], model["description"]) == ("Cars, second try", "train", "why")
    assert (model["license"], model["version"], model["isStarred"], model["starCount"]) == ("MIT", "2", True, 1)


def test_results_and_times_of_a_model_are_set(api: Api) -> None:
    run = api.start()
    api.event("epoch_end", {"epoch": 0, "metrics": {"loss": 2.0}, "system": {}}, modelId=run["modelId"])
    patch(
        api,
        status="completed",
        completedAt="2026-11-20T10:00:00+01:00",
        trainResults=[{"epoch": 1, "metrics": {"loss": 1.0}, "timestamp": "2026-11-20T08:59:00Z"}],
        bestEpoch=1,
        bestFitness=0.5,
        environment={"cpuCount": 2},
    )
    model = api.model()
    assert (model["status"], model["completedAt"]) == ("completed", "2026-11-20T09:00:00.000Z")
    assert [each["metrics"]["loss"] for each in model["trainResults"]] == [2.0, 1.0]
    assert model["trainResults"][1]["timestamp"] == "2026-11-20T08:59:00.000Z"
    assert (model["bestEpoch"], model["bestFitness"], model["environment"]) == (1, 0.5, {"cpuCount": 2})


def test_a_status_says_when_the_training_ended_and_that_it_has_to_stop(api: Api) -> None:
    run = api.start()
    patch(api, status="failed", trainingError={"message": "no power"})
    assert (api.model()["trainingError"]["message"], "completedAt" in api.model()) == ("no power", True)
    assert api.request("PATCH", MODEL, json={"status": "cancelled"}).status_code == 409
    patch(api, status="running")
    assert "completedAt" not in api.model()
    patch(api, status="cancelled")
    assert api.event("epoch_end", {"epoch": 0, "metrics": {}}, modelId=run["modelId"])["cancelled"] is True


REFUSED: list[tuple[Any, int]] = [
    ({}, 422),
    ({"unknown": 1}, 422),
    ({"status": "interrupted"}, 422),
    ({"license": "mine"}, 422),
    ({"starred": "yes"}, 422),
    ({"trainResults": {"epoch": 0}}, 422),
    ({"trainResults": [{"metrics": {}}]}, 422),
    ({"trainResults": [{"epoch": 0, "timestamp": "yesterday"}]}, 422),
    ({"completedAt": "0001-01-01T00:00:00+23:59"}, 422),
    ({"completedAt": 5}, 422),
    ({"trainingError": {}}, 422),
    ({"bestFitness": "1"}, 422),
    ({"name": " "}, 422),
    ({"projectId": "p1"}, 501),
    ([], 422),
]


def test_what_cannot_be_set_is_refused(api: Api) -> None:
    api.start()
    before = api.model()
    for fields, status in REFUSED:
        assert api.request("PATCH", MODEL, json=fields).status_code == status, fields
    assert api.model() == before


def test_a_model_is_made_in_one_request(api: Api) -> None:
    answer = create(
        api,
        model="imported",
        name="Imported",
        trainArgs={"task": "detect"},
        trainResults=[{"epoch": 0, "metrics": {"loss": 1.0}}],
        epochs=1,
        metrics={"fitness": 0.5},
        environment={"hostname": "h"},
        completedAt="2026-11-20T09:00:00.000Z",
        metadata={"by": "hand"},
        description="d",
    )
    assert answer == {
        "id": answer["id"],
        "owner": "local",
        "project": "demo",
        "model": "imported",
        "name": "Imported",
        "region": "us",
    }
    model = api.model("imported")
    assert (model["id"], model["name"], model["status"]) == (answer["id"], "Imported", "completed")
    assert (model["metrics"], model["environment"], model["metadata"]) == (
        {"fitness": 0.5},
        {"hostname": "h"},
        {"by": "hand"},
    )
    assert (model["completedAt"], model["epochs"], model["task"]) == ("2026-11-20T09:00:00.000Z", 1, "detect")


def test_a_model_made_by_hand_takes_files_and_trainings(api: Api) -> None:
    answer = create(api, model="made")
    assert (api.model("made")["status"], "startedAt" in api.model("made")) == ("untrained", False)
    assert put(api.prepare(modelId=answer["id"])["uploadUrl"], b"weights").ok
    assert api.model("made")["file"]["size"] == 7
    assert api.event("training_started", {}, modelId=answer["id"])["modelSlug"] == "made"
    assert api.model("made")["status"] == "running"


def test_a_name_that_is_taken_is_a_conflict_unless_it_was_not_asked_for(api: Api) -> None:
    create(api, model="made")
    assert api.post("/api/models", {"project": "demo", "model": "made"}).status_code == 409
    assert [create(api)["model"], create(api)["model"]] == ["model", "model-2"]


def test_a_model_made_twice_under_one_key_is_made_once(api: Api) -> None:
    body = {"project": "demo", "description": "d"}
    first, again = (api.post("/api/models", body, key="k1").json() for _ in range(2))
    assert first == again
    assert len(api.get("/api/models/local/demo")["models"]) == 1
    assert api.request("PATCH", MODEL, json={"metadata": {}}).status_code == 404


def test_a_server_of_2025_has_neither(tmp_path: Path) -> None:
    with running(tmp_path, api_key="k", contract="2025") as server:
        api = Api(server.url, "k")
        api.start()
        assert api.request("PATCH", MODEL, json={"metadata": {}}).status_code == 404
        assert api.post("/api/models", {"project": "demo"}).status_code == 404
