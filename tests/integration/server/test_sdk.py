"""The platform's own SDK, unchanged, as client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
from support.platform_api import put, sha256

from uploader.server.running import RunningServer

sdk = pytest.importorskip("ultralytics_platform", reason="the SDK needs Python 3.11")

WEIGHTS = b"weights" * 1000


@pytest.fixture
def client(server: RunningServer) -> Iterator[sdk.Platform]:
    with sdk.Platform(api_key=server.api_key, base_url=server.url, max_retries=0) as platform:
        yield platform


def train(client: sdk.Platform) -> dict:
    run = client.training.metrics(
        event="training_started",
        data={"trainArgs": {"task": "detect", "epochs": "2"}, "epochs": 2, "environment": {"cpuCount": 2}},
        project="demo",
        name="train",
    )
    for epoch in (0, 1):
        data = {"epoch": epoch, "metrics": {"train/box_loss": 2.0 - epoch}, "fitness": 0.1 * epoch}
        client.training.metrics(event="epoch_end", data=data, model_id=run["modelId"])
    upload = client.models.upload_checkpoint(
        filename="best.pt", model_id=run["modelId"], run_id=run["runId"], size=len(WEIGHTS)
    )
    assert put(upload["uploadUrl"], WEIGHTS).ok
    saved = {"runId": run["runId"], "modelPath": upload["gcsPath"], "uploadPath": upload["uploadPath"]}
    client.training.metrics(event="checkpoint_saved", data=saved, model_id=run["modelId"])
    results = {"metrics": {"fitness": 0.1}, "bestEpoch": 1, "bestFitness": 0.1, "modelPath": upload["gcsPath"]}
    complete = {"results": results, "classNames": ["box"], "plots": [], "runId": run["runId"]}
    client.training.metrics(event="training_complete", data=complete, model_id=run["modelId"])
    return run


def test_a_training_is_read_back_as_it_was_reported(client: sdk.Platform) -> None:
    run = train(client)
    answer = client.models.retrieve("local", "demo", "train")
    model = answer["model"]
    assert answer["isOwner"] is True
    assert (model["id"], model["status"], model["epochs"]) == (run["modelId"], "completed", 2)
    assert [each["metrics"]["train/box_loss"] for each in model["trainResults"]] == [2.0, 1.0]
    assert (model["bestEpoch"], model["bestFitness"], model["metrics"]) == (1, 0.1, {"fitness": 0.1})
    assert (model["hasWeights"], model["file"]["size"]) == (True, len(WEIGHTS))
    assert (model["classNames"], model["plots"], model["environment"]) == (["box"], [], {"cpuCount": 2})


def test_an_account_is_found_by_its_key(client: sdk.Platform) -> None:
    assert client.account.summary()["username"] == "local"


def test_models_are_listed_newest_first_up_to_a_limit(client: sdk.Platform) -> None:
    train(client)
    train(client)
    assert [each["model"] for each in client.models.list("local", "demo")["models"]] == ["train-2", "train"]
    assert [each["model"] for each in client.models.list("local", "demo", limit=1)["models"]] == ["train-2"]


def test_the_weights_come_back_through_a_signed_url_that_needs_no_key(client: sdk.Platform) -> None:
    train(client)
    (file,) = client.models.files("local", "demo", "train")["files"]
    assert (file["name"], file["size"], file["sha256"]) == ("best.pt", len(WEIGHTS), sha256(WEIGHTS))
    assert requests.get(file["downloadUrl"], timeout=100).content == WEIGHTS


def test_the_job_shows_how_far_the_training_is(client: sdk.Platform) -> None:
    train(client)
    job = client.models.training("local", "demo", "train")["job"]
    assert (job["status"], job["progress"]["percentage"]) == ("completed", 100.0)
    assert job["trainArgs"] == {"epochs": 2.0}


def test_every_answer_tells_a_cancelled_training_to_stop(client: sdk.Platform) -> None:
    run = client.training.metrics(event="training_started", data={}, project="demo", name="train")
    assert client.models.delete_training("local", "demo", "train") == {"success": True, "status": "cancelled"}
    answer = client.training.metrics(event="epoch_end", data={"epoch": 0, "metrics": {}}, model_id=run["modelId"])
    assert (answer["cancelled"], answer["action"]) == (True, "training_terminated")
    resumed = client.training.metrics(event="training_started", data={}, model_id=run["modelId"])
    assert resumed["cancelled"] is True
    assert "runId" not in resumed
    assert client.models.retrieve("local", "demo", "train")["model"]["status"] == "cancelled"


def test_a_deleted_model_is_not_found_by_its_training_either(client: sdk.Platform) -> None:
    run = train(client)
    assert client.models.delete("local", "demo", "train") == {"success": True}
    with pytest.raises(sdk.APIError) as failure:
        client.training.metrics(event="training_started", data={}, model_id=run["modelId"])
    assert failure.value.status_code == 404


def test_a_wrong_key_is_refused(server: RunningServer) -> None:
    with (
        sdk.Platform(api_key="wrong", base_url=server.url, max_retries=0) as client,
        pytest.raises(sdk.APIError) as failure,
    ):
        client.models.list("local", "demo")
    assert failure.value.status_code == 401
