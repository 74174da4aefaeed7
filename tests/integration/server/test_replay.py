"""A recorded training, sent once and sent again, leaves the same state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.platform_api import EVENTS, UPLOAD, Api, put

RECORDING = Path(__file__).parent / "fixtures" / "detect-8.4.190.jsonl"
WEIGHTS = b"recorded weights"


def replay(api: Api, *, keys: bool, model_id: str | None = None) -> str:
    """Send the recording with the ids that this server gives; with `model_id`, without the registration."""
    ids = {"modelId": model_id}
    upload: dict[str, Any] = {}
    for number, line in enumerate(RECORDING.read_text().splitlines()):
        body = json.loads(line)["body"]
        key = f"recording-{number}" if keys else None
        if body.get("event") == "training_started":
            ids = api.post(EVENTS, body, key).json() if ids["modelId"] is None else ids
        elif "filename" in body:
            wish = {"filename": body["filename"], "modelId": ids["modelId"], "runId": 1}
            upload = api.post(UPLOAD, wish, key).json()
        elif "sha256" in body:
            assert put(upload["uploadUrl"], WEIGHTS).status_code == 200
        else:
            data = body["data"] | ({"runId": 1} if "runId" in body["data"] else {})
            if body["event"] == "checkpoint_saved":
                data |= {"modelPath": upload["gcsPath"], "uploadPath": upload["uploadPath"]}
            answer = api.post(EVENTS, {**body, "data": data, "modelId": ids["modelId"]}, key)
            assert answer.status_code == 200, answer.text
    assert ids["modelId"] is not None
    return ids["modelId"]


def state(api: Api) -> dict[str, Any]:
    """Everything known about the model, except the time of the last change and a file's URL."""
    models = api.get("/api/models/local/demo")["models"]
    assert len(models) == 1
    model = api.model("t1-7")
    del model["updatedAt"]
    model["results"].pop("modelPath")
    return model


def test_the_recording_is_shown_whole(api: Api) -> None:
    replay(api, keys=False)
    model = state(api)
    lines = [json.loads(line)["body"] for line in RECORDING.read_text().splitlines()]
    epochs = [each["data"] for each in lines if each.get("event") == "epoch_end"]
    chunks = [each["data"] for each in lines if each.get("event") == "console_output"]
    assert [{k: v for k, v in each.items() if k != "timestamp"} for each in model["trainResults"]] == epochs
    shown = [{k: v for k, v in each.items() if k != "timestamp"} for each in model["consoleChunks"]]
    assert shown == sorted(chunks, key=lambda each: each["chunkId"])
    assert shown != chunks  # the recording has them out of order, so the sorting above was put to the test
    assert (model["status"], model["classNames"], len(model["plots"])) == ("completed", ["box"], 5)
    assert model["modelInfo"] == {"parameters": 2590035, "gflops": 0.145, "speedMs": 7.902}
    assert model["file"]["size"] == len(WEIGHTS)


def test_sent_again_under_the_same_keys_it_changes_nothing(api: Api) -> None:
    replay(api, keys=True)
    before = state(api)
    replay(api, keys=True)
    assert state(api) == before


def test_sent_again_without_keys_its_natural_keys_keep_it_single(api: Api) -> None:
    model_id = replay(api, keys=False)
    before = state(api)
    replay(api, keys=False, model_id=model_id)
    assert state(api) == before
