"""Checkpoints are stored completely or not at all, behind signed URLs."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from support.platform_api import EVENTS, UPLOAD, Api, put, sha256

from uploader.server.running import RunningServer, running

WEIGHTS = b"0123456789" * 500_000  # 5 MB: several blocks


def files(server: RunningServer) -> list[Path]:
    return [path for path in (server.data / "files").rglob("*") if path.is_file()]


def test_a_checkpoint_arrives_and_is_promoted_by_its_event_only(server: RunningServer, api: Api) -> None:
    run = api.start()
    upload = api.prepare(modelId=run["modelId"], runId=run["runId"])
    stored = put(upload["uploadUrl"], WEIGHTS)
    assert stored.json() == {"sha256": sha256(WEIGHTS), "size": len(WEIGHTS)}
    assert api.model()["hasWeights"] is False
    saved = {"runId": run["runId"], "modelPath": upload["gcsPath"], "uploadPath": upload["uploadPath"]}
    api.event("checkpoint_saved", saved, modelId=run["modelId"])
    model = api.model()
    assert model["hasWeights"] is True
    assert model["file"] == {"size": len(WEIGHTS), "sha256": sha256(WEIGHTS), "name": "best.pt"}
    (path,) = files(server)
    assert path.read_bytes() == WEIGHTS
    assert path.stat().st_mode & 0o077 == 0


def test_older_clients_announce_nothing_and_name_the_training(api: Api) -> None:
    api.start()
    upload = api.prepare(project="demo", name="train")
    assert put(upload["uploadUrl"], b"old").status_code == 200
    assert api.model()["file"]["size"] == 3


def test_a_checkpoint_announced_again_stays_one_and_keeps_its_place(api: Api) -> None:
    run = api.start()
    first = api.checkpoint(b"first", run)
    api.checkpoint(b"second", run)
    again = {"runId": run["runId"], "uploadPath": first["uploadPath"]}
    api.event("checkpoint_saved", again, modelId=run["modelId"])
    api.checkpoint(b"first", run)
    model = api.model()
    assert [each["sha256"] for each in model["checkpoints"]] == [sha256(b"first"), sha256(b"second")]
    assert model["file"]["sha256"] == sha256(b"second")


def test_the_completion_names_the_checkpoint_that_is_the_model(api: Api) -> None:
    run = api.start()
    best = api.checkpoint(b"best", run, "best.pt")
    api.checkpoint(b"last", run, "last.pt")
    api.event("training_complete", {"results": {"modelPath": best["gcsPath"]}}, modelId=run["modelId"])
    assert api.model()["file"]["name"] == "best.pt"
    names = [each["name"] for each in api.get("/api/models/local/demo/train/files")["files"]]
    assert names == ["best.pt", "last.pt"]


def test_a_late_checkpoint_of_an_earlier_run_is_not_the_model(api: Api) -> None:
    first = api.start()
    resumed = api.event("training_started", {}, modelId=first["modelId"])
    api.checkpoint(b"resumed", resumed)
    api.checkpoint(b"late", first)
    assert api.model()["file"]["sha256"] == sha256(b"resumed")


def test_the_same_bytes_are_stored_once(server: RunningServer, api: Api) -> None:
    for name in ("a", "b"):
        api.checkpoint(b"same", api.start(name))
    assert len(files(server)) == 1


def test_a_file_sent_again_to_the_same_url_replaces_what_had_arrived(api: Api) -> None:
    run = api.start()
    upload = api.prepare(modelId=run["modelId"], runId=run["runId"])
    for content in (b"one", b"two"):
        assert put(upload["uploadUrl"], content).status_code == 200
    api.event("checkpoint_saved", {"uploadPath": upload["uploadPath"]}, modelId=run["modelId"])
    assert [each["sha256"] for each in api.model()["checkpoints"]] == [sha256(b"two")]


def cut_short(url: str, framing: str, sent: bytes, *, reset: bool) -> None:
    """PUT a part of a body, then close or reset the connection; if closed, wait until the server has noticed."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    with socket.create_connection((parts.hostname, parts.port), timeout=100) as connection:
        head = f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n{framing}\r\n\r\n"
        connection.sendall(head.encode() + sent)
        if not reset:
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(
    ("framing", "sent"),
    [
        (f"Content-Length: {len(WEIGHTS)}", WEIGHTS[:3_000_000]),
        ("Transfer-Encoding: chunked", b"2dc6c0\r\n" + WEIGHTS[:3_000_000] + b"\r\n"),
    ],
)
def test_a_body_that_ends_early_is_not_kept(tmp_path: Path, framing: str, sent: bytes, reset: bool) -> None:
    with running(tmp_path, api_key="k") as server:
        api = Api(server.url, "k")
        run = api.start()
        upload = api.prepare(modelId=run["modelId"], runId=run["runId"])
        cut_short(upload["uploadUrl"], framing, sent, reset=reset)
        saved = {"event": "checkpoint_saved", "data": {"uploadPath": upload["uploadPath"]}, "modelId": run["modelId"]}
        assert api.post(EVENTS, saved).status_code == 409
    assert files(server) == []  # the server has stopped, so nothing is still arriving


def test_a_file_of_another_size_than_announced_is_not_kept(server: RunningServer, api: Api) -> None:
    run = api.start()
    upload = api.prepare(modelId=run["modelId"], runId=run["runId"], size=10)
    assert put(upload["uploadUrl"], b"nine byte").status_code == 400
    chunked = requests.put(upload["uploadUrl"], data=iter([b"nine ", b"byte"]), timeout=100)
    assert chunked.status_code == 400
    chunked = requests.put(upload["uploadUrl"], data=iter([b"eleven ", b"byte"]), timeout=100)
    assert chunked.status_code == 413
    assert files(server) == []
    assert put(upload["uploadUrl"], b"ten  bytes").status_code == 200


def test_what_an_interruption_left_is_removed_at_the_next_start(tmp_path: Path) -> None:
    now = [1_800_000_000.0]
    with running(tmp_path, api_key="k", clock=lambda: now[0]) as server:
        api = Api(server.url, "k")
        run = api.start()
        api.checkpoint(b"kept", run)
        wish = {"filename": "best.pt", "modelId": run["modelId"], "runId": run["runId"]}
        put(api.post(UPLOAD, wish, key="k1").json()["uploadUrl"], b"never announced")
    (tmp_path / "files" / "0123.part").write_bytes(b"half a file")
    now[0] += 30 * 24 * 3600
    with running(tmp_path, api_key="k", clock=lambda: now[0]) as server:
        assert [path.read_bytes() for path in files(server)] == [b"kept"]
        again = Api(server.url, "k").post(UPLOAD, wish, key="k1").json()
        assert put(again["uploadUrl"], b"never announced").status_code == 200


def test_an_expired_url_is_refused(tmp_path: Path) -> None:
    now = [1_800_000_000.0]
    with running(tmp_path, api_key="k", clock=lambda: now[0], url_lifetime=60) as server:
        api = Api(server.url, "k")
        run = api.start()
        api.checkpoint(b"x", run)
        upload = api.prepare(modelId=run["modelId"], runId=run["runId"])
        (file,) = api.get("/api/models/local/demo/train/files")["files"]
        now[0] += 61
        assert put(upload["uploadUrl"], b"x").status_code == 403
        assert requests.get(file["downloadUrl"], timeout=100).status_code == 403


def test_a_signature_fits_one_path_method_and_time(api: Api) -> None:
    run = api.start()
    api.checkpoint(b"x", run)
    first, second = (api.prepare(modelId=run["modelId"], runId=run["runId"])["uploadUrl"] for _ in range(2))
    query = urlsplit(first).query
    download = api.get("/api/models/local/demo/train/files")["files"][0]["downloadUrl"]
    forged = [
        second.split("?")[0] + "?" + query,
        first.replace("expires=", "expires=9"),
        first.replace("signature=", "signature=0"),
        first.split("?")[0],
        first.split("?")[0] + "?expires=x&signature=é",
        first.split("/storage/")[0] + urlsplit(download).path + "?" + query,
    ]
    assert [put(url, b"x").status_code for url in forged] == [403, 403, 403, 403, 403, 405]
    assert requests.get(forged[-1], timeout=100).status_code == 403


def test_a_host_header_cannot_bend_a_signature_to_another_path(server: RunningServer, api: Api) -> None:
    run = api.start()
    mine, other = (urlsplit(api.prepare(modelId=run["modelId"], runId=run["runId"])["uploadUrl"]) for _ in range(2))
    target = f"{server.url}{other.path}?{mine.query}"
    bent = requests.put(target, data=b"x", headers={"Host": f"{mine.netloc}{mine.path}?{mine.query}#"}, timeout=100)
    assert bent.status_code in (400, 403)


@pytest.mark.parametrize(
    ("filename", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\best.pt", "best.pt"),
        ("/abs/best.pt", "best.pt"),
        (".hidden", "hidden"),
        ("a b;\n<c>\x00.pt", "a_b___c__.pt"),
    ],
)
def test_a_filename_cannot_lead_to_another_file(server: RunningServer, api: Api, filename: str, kept: str) -> None:
    run = api.start()
    upload = api.checkpoint(b"x", run, filename)
    assert api.model()["file"]["name"] == kept
    assert upload["gcsPath"].endswith(f"/{kept}")
    assert [path.name for path in files(server)] == [sha256(b"x")]


@pytest.mark.parametrize("filename", ["", "..", "/", "models/", 7, None])
def test_a_filename_that_names_nothing_is_refused(api: Api, filename: object) -> None:
    run = api.start()
    wish = {"filename": filename, "modelId": run["modelId"], "runId": run["runId"]}
    assert api.post(UPLOAD, wish).status_code == 422


def test_an_upload_needs_a_run_of_its_model(api: Api) -> None:
    first, second = api.start("a"), api.start("b")
    wish = {"filename": "best.pt", "modelId": first["modelId"], "runId": second["runId"]}
    assert api.post(UPLOAD, wish).status_code == 404


def test_a_checkpoint_is_promoted_for_its_own_model_and_run_only(api: Api) -> None:
    first, second = api.start("a"), api.start("b")
    upload = api.prepare(modelId=first["modelId"], runId=first["runId"])
    put(upload["uploadUrl"], b"x")
    saved = {"event": "checkpoint_saved", "data": {"uploadPath": upload["uploadPath"], "runId": second["runId"]}}
    assert api.post(EVENTS, {**saved, "modelId": second["modelId"]}).status_code == 404
    assert api.post(EVENTS, {**saved, "modelId": first["modelId"]}).status_code == 409


def test_a_download_can_be_continued(api: Api) -> None:
    api.checkpoint(WEIGHTS, api.start())
    url = api.get("/api/models/local/demo/train/files")["files"][0]["downloadUrl"]
    rest = requests.get(url, headers={"Range": "bytes=4000000-"}, timeout=100)
    assert (rest.status_code, rest.content) == (206, WEIGHTS[4_000_000:])


def test_a_file_above_the_limit_is_refused_before_it_is_sent(api: Api) -> None:
    run = api.start()
    wish = {"filename": "best.pt", "modelId": run["modelId"], "runId": run["runId"], "size": 2**50}
    assert api.post(UPLOAD, wish).status_code == 413
