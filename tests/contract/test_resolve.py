"""`resolve_platform_uri` against the current endpoints, the two older ones, and servers that misbehave."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.scripted_server import Reply, Request, Script, ScriptedServer, free_port, scripted_server

from uploader.by_address import resolve_platform_uri

DATASET = "ul://me/datasets/coco 8"
MODEL = "ul://me/demo/train-2"
SIGNED = "https://storage.example/file?signature=s3cret"


@pytest.fixture(autouse=True)
def _without_the_settings_of_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What Ultralytics keeps in the machine's temporary folder, for a user without a home, is none of these tests'."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    with scripted_server() as running:
        monkeypatch.setenv("ULTRALYTICS_PLATFORM_URL", running.url)
        monkeypatch.setenv("ULTRALYTICS_API_KEY", "ul_resolve")
        yield running


def only(path: str, reply: Reply) -> Script:
    """Know one path, and nothing else."""
    return lambda request: reply if request.path == path else Reply(404, b"")


def asked(server: ScriptedServer) -> list[str]:
    return [f"{each.method} {each.path}" for each in server.requests]


def test_a_dataset_is_exported(server: ScriptedServer) -> None:
    server.script = lambda _: Reply(body={"downloadUrl": SIGNED, "cached": True})
    assert resolve_platform_uri(DATASET) == SIGNED
    assert asked(server) == ["GET /api/datasets/me/coco%208/export"]
    assert server.requests[0].headers["authorization"] == "Bearer ul_resolve"


def test_a_model_is_its_first_file(server: ScriptedServer) -> None:
    files = [{"name": "best.pt", "downloadUrl": SIGNED}, {"name": "last.pt", "downloadUrl": "https://other"}]
    server.script = lambda _: Reply(body={"files": files})
    assert resolve_platform_uri(MODEL) == SIGNED
    assert asked(server) == ["GET /api/models/me/demo/train-2/files"]


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        (DATASET, "/api/webhooks/datasets/me/coco%208/export"),
        (DATASET, "/api/v1/datasets/me/coco%208/export"),
        (MODEL, "/api/webhooks/models/me/demo/train-2/download"),
        (MODEL, "/api/v1/models/me/demo/train-2/download"),
    ],
)
def test_older_servers_answer_with_a_redirect_that_is_not_followed(server: ScriptedServer, uri: str, path: str) -> None:
    server.script = only(path, Reply(302, b"", {"Location": f"{server.url}/file?signature=s3cret"}))
    assert resolve_platform_uri(uri) == f"{server.url}/file?signature=s3cret"
    assert asked(server)[-1] == f"HEAD {path}"


@pytest.mark.parametrize("reply", [Reply(404, b""), Reply(405, b""), Reply(body={"files": []})])
def test_not_found(server: ScriptedServer, reply: Reply) -> None:
    server.script = lambda _: reply
    assert resolve_platform_uri(MODEL, hard=False) is None
    with pytest.raises(FileNotFoundError):
        resolve_platform_uri(MODEL)


def test_why_it_is_not_there_is_said_in_the_platforms_words_without_the_key(server: ScriptedServer) -> None:
    key = os.environ["ULTRALYTICS_API_KEY"]
    server.script = lambda _: Reply(404, {"error": f"an archive; the key {key} is fine"})
    with pytest.raises(FileNotFoundError, match=r"weights for ul://.*: an archive; the key \*\*\* is fine"):
        resolve_platform_uri(MODEL)


@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.parametrize(
    ("status", "expected"),
    [(401, ValueError), (403, PermissionError), (409, RuntimeError), (400, RuntimeError), (302, RuntimeError)],
)
@pytest.mark.parametrize("older", [False, True])
def test_refusals_are_errors_however_hard(
    server: ScriptedServer, status: int, expected: type[Exception], hard: bool, older: bool
) -> None:
    def script(request: Request) -> Reply:
        return Reply(404 if older and request.method == "GET" else status, b"")

    server.script = script
    with pytest.raises(expected):
        resolve_platform_uri(DATASET, hard)


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_busy_platform_is_a_connection_error(server: ScriptedServer, status: int) -> None:
    server.script = lambda _: Reply(status, b"")
    assert resolve_platform_uri(DATASET, hard=False) is None
    with pytest.raises(ConnectionError):
        resolve_platform_uri(DATASET)


@pytest.mark.parametrize("status", [400, 403, 409])
def test_a_page_in_front_of_the_platform_is_a_connection_error(server: ScriptedServer, status: int) -> None:
    server.script = lambda _: Reply(status, b"<html><title>Blocked</title></html>")
    assert resolve_platform_uri(DATASET, hard=False) is None
    with pytest.raises(ConnectionError, match="Blocked"):
        resolve_platform_uri(DATASET)


def test_an_unreachable_platform_is_a_connection_error(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ULTRALYTICS_PLATFORM_URL", f"http://127.0.0.1:{free_port()}")
    assert resolve_platform_uri(DATASET, hard=False) is None
    with pytest.raises(ConnectionError, match="Connection refused"):
        resolve_platform_uri(DATASET)


@pytest.mark.parametrize("body", [{}, {"downloadUrl": "file:///etc/passwd"}, {"files": [7]}, b"<html>"])
def test_an_answer_without_a_url_is_an_error(server: ScriptedServer, body: object) -> None:
    server.script = lambda _: Reply(body=body)
    with pytest.raises(RuntimeError):
        resolve_platform_uri(DATASET)


@pytest.mark.parametrize(
    "uri", ["", "ul://", "ul://me/demo", "ul://me/demo/a/b", "ul://me//b", "ul://../x/y", "https://me/demo/a"]
)
def test_malformed_addresses(server: ScriptedServer, uri: str) -> None:
    with pytest.raises(ValueError, match="is not like ul://"):
        resolve_platform_uri(uri)
    assert server.requests == []


def test_without_a_key_nothing_is_asked(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.delenv("ULTRALYTICS_API_KEY")
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path_factory.mktemp("config")))
    with pytest.raises(ValueError, match=r"set ULTRALYTICS_API_KEY or api_key in .*settings\.json"):
        resolve_platform_uri(DATASET)
    assert server.requests == []


def test_an_impossible_key_is_a_value_error(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ULTRALYTICS_API_KEY", "ul_“pasted”")
    with pytest.raises(ValueError, match="copy it again"):
        resolve_platform_uri(DATASET)
