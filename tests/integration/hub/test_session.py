"""Loading models of HUB from a local platform, and again when it is gone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
import requests
from support.scripted_server import Reply, Request, ScriptedServer, scripted_server

import uploader
from journal.doctor.environment_checks import close_to_others
from uploader.errors import ModelUnavailable, SettingsError
from uploader.platforms.registry import journal_folders
from uploader.server.running import RunningServer, running

KEY = "hub_session_key"
WEB = "https://hub.ultralytics.com"
WISH = {
    "config": {"epochs": 3},
    "dataset": {"name": "coco8.yaml"},
    "lineage": {"architecture": {"name": "yolo11n"}, "parent": {"name": "yolo11n.pt"}},
    "meta": {"name": "yolo11n.pt"},
}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningServer]:
    with running(tmp_path / "platform", api_key=KEY) as it:
        monkeypatch.setenv("ULTRALYTICS_HUB_API", it.url)
        monkeypatch.setenv("UPLOADER_JOURNAL", str(tmp_path / "journal"))
        monkeypatch.setenv("HUB_API_KEY", KEY)
        yield it


def post(server: RunningServer, path: str, **options: Any) -> Any:
    answer = requests.post(f"{server.url}/v1/models{path}", headers={"x-api-key": KEY}, timeout=60, **options)
    answer.raise_for_status()
    return answer.json()["data"]


def make(server: RunningServer, **changes: Any) -> str:
    return str(post(server, "", json={**WISH, **changes})["id"])


@contextmanager
def hub_with(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, weights: Callable[[ScriptedServer], str], files: list[Reply]
) -> Iterator[str]:
    """Run a HUB with one trained model, whose weights are downloaded as `files`, one by one; yields its URL."""
    monkeypatch.setenv("UPLOADER_JOURNAL", str(tmp_path / "journal"))
    monkeypatch.setenv("HUB_API_KEY", KEY)
    with scripted_server() as hub:
        facts = {"status": "trained", "weights": weights(hub)}
        answer = Reply(body={"success": True, "data": facts})
        hub.script = lambda request: answer if request.path.startswith("/v1/") else files.pop(0)
        monkeypatch.setenv("ULTRALYTICS_HUB_API", hub.url)
        yield f"{WEB}/models/m-1"


def cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ULTRALYTICS_HUB_API", "http://127.0.0.1:9")


def test_a_file_needs_no_network_and_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    cut(monkeypatch)
    model = uploader.load_hub_model("yolo11n.yaml")
    assert (model.model_file, model.url, dict(model.train_args)) == ("yolo11n.yaml", None, {})
    assert uploader.load_hub_model(Path("yolo11n.yaml")) == model
    with pytest.raises(SettingsError, match="'None' is no HUB model"):
        uploader.load_hub_model(cast(Any, None))


def test_a_new_model_needs_the_network_once(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"{WEB}/models/{make(server)}"
    first = uploader.load_hub_model(url)
    assert (first.model_file, first.url, first.train_args["data"]) == ("yolo11n.pt", url, "coco8.yaml")
    cut(monkeypatch)
    assert uploader.load_hub_model(url) == first


def test_weights_are_kept_and_signed_urls_are_not(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model_id = make(server)
    post(server, f"/{model_id}/upload", data={"epoch": 1, "type": "epoch", "isBest": True}, files={"last.pt": b"last"})
    resumable = uploader.load_hub_model(f"{WEB}/models/{model_id}")
    assert dict(resumable.train_args) == {"data": "coco8.yaml", "resume": True}
    assert Path(resumable.model_file).read_bytes() == b"last"
    post(server, f"/{model_id}/upload", data={"epoch": 2, "type": "final", "map": 0.5}, files={"best.pt": b"best"})
    trained = uploader.load_hub_model(f"{WEB}/models/{model_id}")
    assert trained.is_trained
    assert Path(trained.model_file).read_bytes() == b"best"
    cut(monkeypatch)
    assert uploader.load_hub_model(f"{WEB}/models/{model_id}") == trained
    kept = (tmp_path / "journal" / "hub" / model_id / "model.json").read_text()
    assert "signature" not in kept
    assert json.loads(kept)["source"] == "best.pt"


def test_a_key_in_the_url_is_used_and_kept_nowhere(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HUB_API_KEY")
    model_id = make(server)
    with pytest.raises(ModelUnavailable, match="no API key"):
        uploader.load_hub_model(f"{WEB}/models/{model_id}")
    model = uploader.load_hub_model(f"{WEB}/models/{model_id}?api_key={KEY}")
    assert model.url == f"{WEB}/models/{model_id}"
    assert not [path for path in (tmp_path / "journal").rglob("*") if path.is_file() and KEY in path.read_text()]


def test_a_model_that_everybody_may_read_needs_no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    facts = {"status": "new", "train_args": {"data": "coco8.yaml"}, "cfg": "yolo11n.yaml"}
    monkeypatch.setenv("UPLOADER_JOURNAL", str(tmp_path / "journal"))
    with scripted_server(lambda _: Reply(body={"success": True, "data": facts})) as hub:
        monkeypatch.setenv("ULTRALYTICS_HUB_API", hub.url)
        first = uploader.load_hub_model(f"{WEB}/models/public")
        assert [(each.method, each.path) for each in hub.requests] == [("GET", "/v1/models/public")]
        assert "x-api-key" not in hub.requests[0].headers
    assert (first.model_file, dict(first.train_args)) == ("yolo11n.yaml", {"data": "coco8.yaml"})
    assert uploader.load_hub_model(f"{WEB}/models/public") == first  # the server is gone


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("variable", ["ULTRALYTICS_API_KEY", "HUB_API_KEY"])
def test_a_model_that_everybody_may_read_needs_no_key_that_is_accepted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, status: int
) -> None:
    def script(request: Request) -> Reply:
        if "x-api-key" in request.headers:
            return Reply(status, {"message": "Invalid API key"})
        public = {"cfg": "yolo11n.yaml", "train_args": {"data": "coco8.yaml"}}
        return Reply(body={"success": True, "data": public}) if request.path.endswith("/public") else Reply(404)

    monkeypatch.setenv("UPLOADER_JOURNAL", str(tmp_path / "journal"))
    monkeypatch.setenv(variable, "of another place")
    with scripted_server(script) as hub:
        monkeypatch.setenv("ULTRALYTICS_HUB_API", hub.url)
        assert uploader.load_hub_model(f"{WEB}/models/public").model_file == "yolo11n.yaml"
        with pytest.raises(ModelUnavailable, match=rf"{status}: Invalid API key; and without a key, .* 404"):
            uploader.load_hub_model(f"{WEB}/models/private")


@pytest.mark.parametrize(
    "answer",
    [
        Reply(302, b"moved", {"Location": "http://127.0.0.1:9/best.pt"}),
        Reply(206, b"be"),
        Reply(200, b"<html>Sign in</html>", {"Content-Type": "text/html"}),
    ],
)
def test_what_is_no_whole_file_replaces_no_weights(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    files = [Reply(body=b"best"), answer]
    with hub_with(monkeypatch, tmp_path, lambda hub: f"{hub.url}/best.pt", files) as url:
        first = uploader.load_hub_model(url)
        assert uploader.load_hub_model(url) == first
    assert Path(first.model_file).read_bytes() == b"best"
    assert f"answered {answer.status}" in caplog.text


def test_a_new_model_without_a_parent_begins_with_its_architecture(server: RunningServer) -> None:
    model_id = make(server, lineage={"architecture": {"name": "yolo11n"}, "parent": {}})
    model = uploader.load_hub_model(f"{WEB}/models/{model_id}")
    assert (model.model_file, model.is_trained, model.train_args["epochs"]) == ("yolo11n.yaml", False, 3)


def test_what_cannot_be_loaded_is_told_clearly(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelUnavailable, match="404"):
        uploader.load_hub_model(f"{WEB}/models/none")
    with pytest.raises(ModelUnavailable, match="may still be processing"):
        uploader.load_hub_model(f"{WEB}/models/{make(server, dataset={})}")
    monkeypatch.setenv("HUB_API_KEY", "another")
    with pytest.raises(ModelUnavailable, match="401"):
        uploader.load_hub_model(f"{WEB}/models/{make(server)}")
    cut(monkeypatch)
    with pytest.raises(ModelUnavailable, match="was not loaded before"):
        uploader.load_hub_model(f"{WEB}/models/none")


def test_what_another_process_is_writing_of_the_same_model_is_left_alone(server: RunningServer, tmp_path: Path) -> None:
    model_id = make(server)
    draft = tmp_path / "journal" / "hub" / model_id / "model.json.tmp"
    draft.parent.mkdir(parents=True)
    draft.write_text("half of")
    uploader.load_hub_model(f"{WEB}/models/{model_id}")
    assert draft.read_text() == "half of"
    assert {path.name for path in draft.parent.iterdir()} == {"model.json", draft.name}


def test_only_this_user_can_read_what_is_kept(server: RunningServer, tmp_path: Path) -> None:
    model_id = make(server)
    post(server, f"/{model_id}/upload", data={"epoch": 2, "type": "final", "map": 0.5}, files={"best.pt": b"best"})
    umask = os.umask(0)
    try:
        uploader.load_hub_model(f"{WEB}/models/{model_id}")
    finally:
        os.umask(umask)
    folder = tmp_path / "journal"
    kept = {str(path.relative_to(folder)): path.stat().st_mode & 0o777 for path in (folder, *folder.rglob("*"))}
    files = {f"hub/{model_id}/{name}": 0o600 for name in ("best.pt", "model.json")}
    assert kept == {**dict.fromkeys([".", "hub", f"hub/{model_id}"], 0o700), **files}

    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode | 0o044)
    assert len(close_to_others(folder, journal_folders())) == 5
    assert not [path for path in (folder, *folder.rglob("*")) if path.stat().st_mode & 0o077]


def test_a_dataset_behind_a_signed_url_is_used_and_not_kept(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model_id = make(server, dataset={"name": "https://storage.example/d.zip?signature=s3cret"})
    assert "s3cret" in uploader.load_hub_model(f"{WEB}/models/{model_id}").train_args["data"]
    assert "s3cret" not in (tmp_path / "journal" / "hub" / model_id / "model.json").read_text()
    cut(monkeypatch)
    with pytest.raises(ModelUnavailable, match="over the network only"):
        uploader.load_hub_model(f"{WEB}/models/{model_id}")


@pytest.mark.parametrize("secret", ["https://me:s3cret@host.example/d.zip", ["https://host.example/d?sig=s3cret"]])
def test_an_argument_with_a_password_or_a_signature_is_used_and_not_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, secret: object
) -> None:
    facts = {"cfg": "yolo11n.yaml", "train_args": {"data": "coco8.yaml", "extra": secret}}
    monkeypatch.setenv("UPLOADER_JOURNAL", str(tmp_path / "journal"))
    with scripted_server(lambda _: Reply(body={"success": True, "data": facts})) as hub:
        monkeypatch.setenv("ULTRALYTICS_HUB_API", hub.url)
        assert uploader.load_hub_model(f"{WEB}/models/m-1").train_args["extra"] == secret
    assert "s3cret" not in (tmp_path / "journal" / "hub" / "m-1" / "model.json").read_text()
    assert dict(uploader.load_hub_model(f"{WEB}/models/m-1").train_args) == {"data": "coco8.yaml"}


def test_kept_weights_that_are_gone_are_not_mistaken_for_a_file_of_that_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with hub_with(monkeypatch, tmp_path, lambda hub: f"{hub.url}/best.pt", [Reply(body=b"best")]) as url:
        Path(uploader.load_hub_model(url).model_file).unlink()
    monkeypatch.chdir(tmp_path)
    Path("best.pt").write_bytes(b"another's")
    with pytest.raises(ModelUnavailable, match=r"the file of .* is gone"):
        uploader.load_hub_model(url)


@pytest.mark.parametrize("name", ["model.json", "..", "weights", f"{'a' * 300}.pt"])
def test_weights_of_a_strange_name_are_kept_under_another_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    with hub_with(monkeypatch, tmp_path, lambda hub: f"{hub.url}/{name}?s=1", [Reply(body=b"best")]) as url:
        first = uploader.load_hub_model(url)
    assert Path(first.model_file).read_bytes() == b"best"
    assert Path(first.model_file).name == "weights.pt"
    assert uploader.load_hub_model(url) == first  # the server is gone


def test_without_an_address_it_is_said_that_the_public_service_has_ended(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is sent; a model that was loaded before can be used all the same."""
    model = make(server)
    loaded = uploader.load_hub_model(f"{WEB}/models/{model}")
    monkeypatch.delenv("ULTRALYTICS_HUB_API")
    monkeypatch.setattr("uploader.platforms.http.transport.Transport.request", None)
    with pytest.raises(ModelUnavailable, match=r"has ended: set ULTRALYTICS_HUB_API"):
        uploader.load_hub_model(f"{WEB}/models/another")
    assert uploader.load_hub_model(f"{WEB}/models/{model}") == loaded
