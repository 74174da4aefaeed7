"""What each event changes in a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.platform_api import EVENTS, Api

from uploader.server.running import running


def test_a_registration_answers_ids_slug_and_the_address_of_a_page(api: Api) -> None:
    answer = api.start()
    assert answer["received"] is True
    assert answer["event"] == "training_started"
    assert (answer["runId"], answer["modelSlug"]) == (1, "train")
    assert api.request("GET", answer["modelUrl"].removeprefix(api.url)).status_code == 200


def test_the_same_name_again_is_another_model(api: Api) -> None:
    slugs = [api.start()["modelSlug"] for _ in range(3)]
    assert slugs == ["train", "train-2", "train-3"]
    assert api.start("other")["modelSlug"] == "other"


@pytest.mark.parametrize(
    ("project", "owner", "slug"),
    [
        ("Demo", "local", "demo"),
        ("team/My Project", "team", "my-project"),
        ("team/a/b", "team", "a-b"),
        ("/home/user/runs", "local", "home-user-runs"),
    ],
)
def test_a_project_may_name_its_owner(api: Api, project: str, owner: str, slug: str) -> None:
    api.event("training_started", {}, project=project, name="Run 1")
    assert api.model("run-1", slug, owner)["owner"] == owner


@pytest.mark.parametrize(
    ("project", "slug", "given", "shown"),
    [
        ("xn-fiq228c", "xn-fiq228c", None, "中文"),
        ("xn-é", "xn", None, "xn-é"),
        ("xn-itbpoegr5701rdoc", "xn-itbpoegr5701rdoc", None, "xn-itbpoegr5701rdoc"),  # decodes to other letters
        ("xn-itbpoegr5701rdoc", "xn-itbpoegr5701rdoc", "/data/проект-日本", "проект-日本"),
        ("xn-fiq228c", "xn-fiq228c", "проект", "中文"),
        ("xn-fiq228c", "xn-fiq228c", ["проект"], "中文"),
        ("bees", "bees", "Bees", "bees"),
    ],
)
def test_a_project_spelled_in_punycode_is_shown_as_it_was_written(
    api: Api, project: str, slug: str, given: Any, shown: str
) -> None:
    api.event("training_started", {"trainArgs": {"project": given}}, project=project, name="t")
    assert api.model("t", slug)["projectName"] == shown


def test_a_run_is_called_as_it_was_written(api: Api) -> None:
    for slug, given in (("xn-fiq228c", "中文"), ("emoji-run", "🚀 emoji run"), ("run-1", "Run 1"), ("other", "中文")):
        api.event("training_started", {"trainArgs": {"name": given}}, project="demo", name=slug)
    api.event("training_started", {"trainArgs": {"name": "中文"}}, project="demo", name="xn-fiq228c")
    found = [api.listed(f"local/demo/{slug}")["name"] for slug in ("xn-fiq228c", "xn-fiq228c-2", "emoji-run", "run-1")]
    assert found == ["中文", "中文-2", "🚀 emoji run", "run-1"]
    assert api.listed("local/demo/other")["name"] == "other"


def test_a_registration_without_a_name_is_called_train(api: Api) -> None:
    assert api.event("training_started", {}, project="demo")["modelSlug"] == "train"


def test_resuming_makes_another_run_of_the_same_model_and_opens_it_again(api: Api) -> None:
    first = api.start(epochs=2)
    api.event("training_failed", {"error": "out of memory"}, modelId=first["modelId"])
    resumed = api.event("training_started", {"epochs": 4}, modelId=first["modelId"])
    assert (resumed["modelId"], resumed["runId"]) == (first["modelId"], first["runId"] + 1)
    model = api.model()
    assert (model["status"], model["epochs"], model["runIds"]) == ("running", 4, [1, 2])
    assert "trainingError" not in model
    assert "completedAt" not in model


def test_an_epoch_trained_again_replaces_the_earlier_one(api: Api) -> None:
    run = api.start()
    for epoch, loss in ((1, 3.0), (0, 4.0), (1, 2.0)):
        api.event("epoch_end", {"epoch": epoch, "metrics": {"loss": loss}}, modelId=run["modelId"])
    assert [(each["epoch"], each["metrics"]["loss"]) for each in api.model()["trainResults"]] == [(0, 4.0), (1, 2.0)]


def test_while_it_runs_the_best_epoch_is_that_of_the_highest_fitness(api: Api) -> None:
    run = api.start()
    for epoch, fitness in enumerate((0.1, 0.3, 0.2, None)):
        api.event("epoch_end", {"epoch": epoch, "metrics": {}, "fitness": fitness}, modelId=run["modelId"])
    model = api.model()
    assert (model["bestEpoch"], model["bestFitness"]) == (1, 0.3)


def test_a_failure_keeps_its_message_and_code(api: Api) -> None:
    run = api.start()
    api.event("training_failed", {"error": "CUDA error", "code": "oom"}, modelId=run["modelId"])
    model = api.model()
    assert model["status"] == "failed"
    assert model["trainingError"] == {"message": "CUDA error", "code": "oom", "timestamp": model["completedAt"]}


def test_late_events_do_not_reopen_a_completed_training(api: Api) -> None:
    run = api.start()
    api.event("training_complete", {"results": {"bestEpoch": 0}}, modelId=run["modelId"])
    api.event("epoch_end", {"epoch": 0, "metrics": {}}, modelId=run["modelId"])
    api.event("console_output", {"chunkId": 1, "content": "late"}, modelId=run["modelId"])
    model = api.model()
    assert model["status"] == "completed"
    assert (len(model["trainResults"]), len(model["consoleChunks"])) == (1, 1)


def test_a_model_accepts_one_of_two_sessions_that_continue_the_same_one(api: Api) -> None:
    def told(uuid: str, generation: int) -> dict[str, Any]:
        return {"environment": {"uploaderSession": {"uuid": uuid, "generation": generation}}}

    model = api.start(**told("s1", 1))["modelId"]
    for session in (told("s2", 2), told("s2", 2), told("s3", 3), {"environment": {}}, told("s4", 4)):
        assert api.event("training_started", session, modelId=model)["modelId"] == model
    refused = api.post(EVENTS, {"event": "training_started", "data": told("copy", 4), "modelId": model})
    assert (refused.status_code, "another copy" in refused.json()["error"]) == (409, True)


def test_a_session_registered_after_its_successors_belongs_to_their_model(api: Api) -> None:
    def told(uuid: str, *ancestors: str) -> dict[str, Any]:
        return {"environment": {"uploaderRun": "r1", "uploaderSession": {"uuid": uuid, "ancestors": [*ancestors]}}}

    later = api.event("training_started", told("s3", "s1", "s2"), project="demo", name="train")
    api.event("training_complete", {}, modelId=later["modelId"])
    first = api.event("training_started", told("s1"), project="demo", name="train")
    assert (first["modelId"], "older" in first["ignored"]) == (later["modelId"], True)
    assert api.model()["status"] == "completed"
    copy = api.event("training_started", told("copy", "s1"), project="demo", name="train-copy")
    assert copy["modelId"] != later["modelId"]


def test_a_cancelled_training_still_delivers_its_partial_results(api: Api) -> None:
    run = api.start()
    assert api.request("DELETE", "/api/models/local/demo/train/training").status_code == 200
    answer = api.event("training_complete", {"results": {"bestEpoch": 3}}, modelId=run["modelId"])
    assert answer["cancelled"] is True
    model = api.model()
    assert (model["status"], model["bestEpoch"]) == ("cancelled", 3)


def test_an_ended_training_cannot_be_cancelled(api: Api) -> None:
    run = api.start()
    api.event("training_complete", {}, modelId=run["modelId"])
    assert api.request("DELETE", "/api/models/local/demo/train/training").status_code == 409


def test_liveness_and_system_metrics_keep_the_newest(api: Api) -> None:
    run = api.start()
    for cpu in (10, 20):
        api.event("system_metrics", {"cpu": cpu}, modelId=run["modelId"])
        api.event("training_progress", {"step": cpu}, modelId=run["modelId"])
    model = api.model()
    assert (model["system"], model["progress"]) == ({"cpu": 20}, {"step": 20})


def test_text_that_utf8_cannot_encode_survives(api: Api) -> None:
    run = api.start()
    api.event("console_output", {"chunkId": 1, "content": "\udc80 \x00 ✅"}, modelId=run["modelId"])
    assert api.model()["consoleChunks"][0]["content"] == "\udc80 \x00 ✅"
    assert api.request("GET", urlsplit(run["modelUrl"]).path).status_code == 200


def test_events_find_the_newest_model_registered_under_a_name(api: Api) -> None:
    api.start()
    second = api.start()
    answer = api.event("epoch_end", {"epoch": 0, "metrics": {}}, project="demo", name="train")
    assert answer["modelId"] == second["modelId"]


@pytest.mark.parametrize("target", [{"modelId": "unknown"}, {"project": "demo", "name": "unknown"}])
@pytest.mark.parametrize("event", ["epoch_end", "training_complete"])
def test_events_for_an_unknown_model_are_not_found(api: Api, target: dict[str, str], event: str) -> None:
    assert api.post(EVENTS, {"event": event, "data": {"epoch": 0}, **target}).status_code == 404


def test_resuming_an_unknown_model_is_not_found(api: Api) -> None:
    assert api.post(EVENTS, {"event": "training_started", "data": {}, "modelId": "unknown"}).status_code == 404


def test_state_survives_a_restart(tmp_path: Path) -> None:
    with running(tmp_path, api_key="k") as server:
        Api(server.url, "k").start()
    with running(tmp_path, api_key="k") as server:
        api = Api(server.url, "k")
        assert api.model()["status"] == "running"
        assert api.start("other")["runId"] == 2


def test_the_contract_of_2025_answers_without_ids_and_knows_models_by_name(tmp_path: Path) -> None:
    with running(tmp_path, api_key="k", contract="2025") as server:
        api = Api(server.url, "k")
        for _ in range(2):
            assert api.start() == {"received": True}
        assert api.event("epoch_end", {"epoch": 0, "metrics": {}}, project="demo", name="train") == {"received": True}
        assert set(api.prepare(project="demo", name="train")) == {"uploadUrl", "gcsPath"}
        (model,) = api.get("/api/models/local/demo")["models"]
        assert (model["model"], model["runIds"], len(model["trainResults"])) == ("train", [1, 2], 1)
