"""Every operation of the platform's SDK: answered as its types say, or refused as not here; the docs say which."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.platform_api import Api, put
from support.typed_answers import mismatches

from uploader.server.running import RunningServer, running

sdk = pytest.importorskip("ultralytics_platform", reason="the SDK needs Python 3.11")

DOCS = Path(__file__).parents[3] / "docs" / "local-platform.md"
WEIGHTS = b"weights" * 1000

KNOWN: dict[str, dict[str, Any]] = {
    "datasets.create": {"dataset": "made"},
    "datasets.ingest": {"body": {"conflictPolicy": "skip"}},
    "upload.signed_url": {"body": {"assetType": "datasets", "filename": "a.zip", "totalBytes": 1}},
    "exports.create": {"format": "onnx", "args": {"imgsz": 96}},
    "exports.resolve_mobile": {"extra_headers": {"Authorization": "Bearer k"}},  # it sends no key by itself
    "models.create": {"body": {"project": "demo", "model": "made", "trainResults": [{"epoch": 0}]}},
    "models.update": {"metadata": {"a": 1}},
    "models.upload_checkpoint": {"filename": "best.pt", "project": "demo", "name": "train"},
    "training.metrics": {"event": "epoch_end", "data": {"epoch": 3}, "project": "demo", "name": "train"},
}
"""Arguments of operations that take more than a place."""
PLACE = {"owner": "local", "project": "demo", "model": "train", "dataset": "cars"}


def operations() -> dict[str, inspect.Signature]:
    """Return the SDK's operations, `resource.name`, with their signatures."""
    with closing(sdk.Platform(api_key="k")) as client:
        resources = {name: each for name, each in vars(client).items() if not name.startswith("_")}
        return {
            f"{resource}.{name}": inspect.signature(method)
            for resource, each in resources.items()
            for name, method in inspect.getmembers(each, inspect.ismethod)
            if not name.startswith("_")
        }


def documented() -> dict[str, bool]:
    """Return what the page says of each operation: whether it is answered."""
    table = DOCS.read_text("utf-8").partition("| resource | answered | 501 |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \|$", table, re.M)
    return {
        f"{resource}.{name}": is_answered
        for resource, *columns in rows
        for is_answered, column in zip((True, False), columns, strict=True)
        for name in re.findall(r"`(\w+)`", column)
    }


def arguments(operation: str, signature: inspect.Signature) -> dict[str, Any]:
    """Return arguments for an operation: known ones, else any of the declared type."""
    needed = [each for each in signature.parameters.values() if each.default is each.empty]
    made = {each.name: PLACE.get(each.name, argument(str(each.annotation))) for each in needed}
    return made | KNOWN.get(operation, {})


def argument(declared: str) -> Any:
    if literal := re.search(r'Literal\[\s*"([^"]*)"', declared):
        return literal[1]
    for start, value in (("dict", {}), ("Sequence", []), ("list", []), ("bool", True), ("int", 1), ("float", 1)):
        if declared.startswith(start):
            return value
    return "x"


def trained(api: Api) -> None:
    """Make the model `train`, with something of everything that can be reported."""
    api.request("DELETE", "/api/models/local/demo/train")
    api.request("DELETE", "/api/models/local/demo/made")
    arguments = {"task": "detect", "model": "yolo11n.pt", "epochs": "3", "batch": "8", "imgsz": "96"}
    run = api.start(trainArgs=arguments, epochs=3, environment={"cpuCount": 2}, device="cpu")
    for number in range(3):
        metrics = {"train/loss": 1.0 / (number + 1), "val/loss": 1.0}
        api.event("epoch_end", {"epoch": number, "metrics": metrics, "fitness": 0.1}, modelId=run["modelId"])
    api.event("console_output", {"chunkId": 1, "content": "x", "lineCount": 1}, modelId=run["modelId"])
    upload = api.prepare(modelId=run["modelId"], runId=run["runId"], size=len(WEIGHTS))
    assert put(upload["uploadUrl"], WEIGHTS).ok
    saved = {"runId": run["runId"], "modelPath": upload["gcsPath"], "uploadPath": upload["uploadPath"]}
    api.event("checkpoint_saved", saved, modelId=run["modelId"])
    patch = {"description": "d", "license": "MIT", "trainingError": {"message": "m", "timestamp": "t"}}
    api.request("PATCH", "/api/models/local/demo/train", json=patch)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    data = tmp_path_factory.mktemp("platform")
    (data / "datasets" / "local").mkdir(parents=True)
    (data / "datasets" / "local" / "cars.ndjson").write_text("{}\n", "utf-8")
    with running(data, api_key="k") as server:
        yield server


def add_file(client: Any, operation: str, given: dict[str, Any]) -> None:
    """Name a dataset, or a file that was uploaded for it, in the arguments of an operation."""
    dataset = client.datasets.retrieve("local", "cars")["dataset"]["id"]
    body = {**KNOWN["upload.signed_url"]["body"], "assetId": dataset, "contentType": "application/zip"}
    if operation == "upload.signed_url":
        given["body"] = body
        return
    signed = client.upload.signed_url(body=body)
    assert put(signed["uploadUrl"], b"z").ok
    if operation == "upload.complete":
        given["session_id"] = signed["sessionId"]
    else:
        given["body"] = {**given["body"], "sessionId": signed["sessionId"]}


@pytest.fixture
def call(shared: RunningServer) -> Iterator[Callable[[str], Any]]:
    """Calls an operation of the SDK, and returns its answer."""
    with sdk.Platform(api_key="k", base_url=shared.url, max_retries=0) as client:

        def called(operation: str) -> Any:
            resource, _, name = operation.partition(".")
            method = getattr(getattr(client, resource), name)
            given = arguments(operation, inspect.signature(method))
            if name in {"retrieve", "delete"} and resource == "exports":
                given["export_id"] = client.exports.create("local", "demo", "train", format="onnx")["id"]
            if operation in {"upload.signed_url", "upload.complete", "datasets.ingest"}:
                add_file(client, operation, given)
            return method(**given)

        yield called


def test_the_page_lists_every_operation_of_the_sdk() -> None:
    assert set(documented()) == set(operations())


def test_what_the_page_calls_answered_is_answered_as_the_sdk_says(
    call: Callable[[str], Any], shared: RunningServer
) -> None:
    wrong = []
    for operation in (name for name, is_answered in documented().items() if is_answered):
        trained(Api(shared.url, "k"))
        declared = getattr(sdk.types, str(operations()[operation].return_annotation))
        wrong += mismatches(call(operation), declared, operation)
    assert wrong == []


def test_everything_else_is_refused_as_not_here_in_the_platforms_own_form(call: Callable[[str], Any]) -> None:
    for operation in (name for name, is_answered in documented().items() if not is_answered):
        with pytest.raises(sdk.APIError) as failure:
            call(operation)
        assert failure.value.status_code == 501, operation
        assert "local platform has no" in failure.value.json["error"], operation


def test_a_failed_and_a_killed_training_are_read_as_the_sdk_says(api: Api, server: RunningServer) -> None:
    with sdk.Platform(api_key=server.api_key, base_url=server.url, max_retries=0) as client:
        for code in ("Interrupted", "RuntimeError"):
            run = api.start(code.lower())
            api.event("training_failed", {"error": "e", "code": code}, modelId=run["modelId"])
            answer = client.models.retrieve("local", "demo", code.lower())
            assert not list(mismatches(answer, sdk.types.ModelsRetrieveResponse))


def test_an_analysis_of_each_image_and_a_move_are_refused_as_not_here(api: Api, server: RunningServer) -> None:
    api.start()
    with sdk.Platform(api_key=server.api_key, base_url=server.url, max_retries=0) as client:
        for act in (
            lambda: client.models.retrieve("local", "demo", "train", analysis="1"),
            lambda: client.models.update("local", "demo", "train", project_id="p"),
        ):
            with pytest.raises(sdk.APIError) as failure:
                act()
            assert failure.value.status_code == 501


def test_a_server_of_2025_knows_none_of_them(tmp_path: Path) -> None:
    with running(tmp_path, api_key="k", contract="2025") as server:
        for path in ("/api/users", "/api/trash", "/api/projects/local", "/api/training/gpu-availability"):
            assert Api(server.url, "k").request("GET", path).status_code == 404
        assert Api(server.url, "wrong").request("GET", "/api/users").status_code == 401
