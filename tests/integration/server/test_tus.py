"""Resumable uploads by tus 1.0: bytes that arrived are kept, unchecked ones are not, whatever happens."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from support.platform_api import EVENTS, UPLOAD, Api, put, sha256
from support.tus_api import BYTES, TUS, begun, checksum, create, head, offset, patch

from uploader.server.rules.transfers import LIFETIME
from uploader.server.running import RunningServer, running

WEIGHTS = b"0123456789" * 500_000  # 5 MB: several blocks
HALF = len(WEIGHTS) // 2
NOW = 1_800_000_000.0


@pytest.fixture
def run(api: Api) -> dict[str, Any]:
    return api.start()


def ticket(api: Api, run: dict[str, Any], content: bytes = WEIGHTS, filename: str = "best.pt") -> dict[str, Any]:
    said = {"size": len(content), "sha256": sha256(content)}
    return api.prepare(filename, modelId=run["modelId"], runId=run["runId"], **said)


def save(api: Api, run: dict[str, Any], upload: dict[str, Any]) -> int:
    data = {"runId": run["runId"], "uploadPath": upload["uploadPath"]}
    return api.post(EVENTS, {"event": "checkpoint_saved", "data": data, "modelId": run["modelId"]}).status_code


def kept(server: RunningServer) -> list[bytes]:
    return [path.read_bytes() for path in (server.data / "files").rglob("*") if path.is_file()]


def partial(server: RunningServer) -> list[str]:
    return sorted(path.suffix for path in (server.data / "partial").iterdir())


def test_a_file_in_chunks_is_stored_like_one_that_was_put(server: RunningServer, api: Api, run: dict[str, Any]) -> None:
    upload = ticket(api, run)
    url = begun(upload["tus"]["create"], len(WEIGHTS), filename="best.pt", sha256=sha256(WEIGHTS))
    first = patch(url, 0, WEIGHTS[:HALF])
    assert (first.status_code, first.headers["Upload-Offset"]) == (204, str(HALF))
    told = head(url).headers
    assert (told["Upload-Offset"], told["Upload-Length"]) == (str(HALF), str(len(WEIGHTS)))
    assert told["Cache-Control"] == "no-store"
    assert told["Upload-Metadata"] == f"filename YmVzdC5wdA==,sha256 {b64encode(sha256(WEIGHTS).encode()).decode()}"
    assert told["Upload-Expires"].endswith("GMT")
    assert save(api, run, upload) == 409  # not all of it is here
    last = patch(url, HALF, WEIGHTS[HALF:], **checksum(WEIGHTS[HALF:]))
    assert (last.status_code, last.headers["Upload-Offset"]) == (204, str(len(WEIGHTS)))
    assert offset(url) == len(WEIGHTS)  # whoever lost the last answer learns it
    assert save(api, run, upload) == 200
    assert api.model()["file"] == {"size": len(WEIGHTS), "sha256": sha256(WEIGHTS), "name": "best.pt"}
    assert (kept(server), partial(server)) == ([WEIGHTS], [])


def test_the_file_itself_is_private(server: RunningServer, api: Api, run: dict[str, Any]) -> None:
    url = begun(ticket(api, run)["tus"]["create"], len(WEIGHTS))
    patch(url, 0, b"01")
    (path,) = (server.data / "partial").iterdir()
    assert (path.stat().st_mode & 0o077, path.parent.stat().st_mode & 0o077) == (0, 0)
    patch(url, 2, WEIGHTS[2:])
    assert [path.stat().st_mode & 0o077 for path in (server.data / "files").rglob("*")] == [0, 0]


@pytest.mark.parametrize("algorithm", ["sha256", "sha1", "md5"])
def test_nothing_is_kept_of_a_chunk_with_another_checksum(
    server: RunningServer, api: Api, run: dict[str, Any], algorithm: str
) -> None:
    url = begun(ticket(api, run)["tus"]["create"], len(WEIGHTS))
    assert patch(url, 0, WEIGHTS[:HALF], **checksum(WEIGHTS[:HALF], algorithm)).status_code == 204
    wrong = patch(url, HALF, b"x" * HALF, **checksum(WEIGHTS[HALF:], algorithm))
    assert (wrong.status_code, wrong.headers["Tus-Resumable"]) == (460, "1.0.0")
    assert (offset(url), partial(server)) == (HALF, [".part"])
    assert patch(url, HALF, WEIGHTS[HALF:], **checksum(WEIGHTS[HALF:], algorithm)).status_code == 204
    assert kept(server) == [WEIGHTS]


@pytest.mark.parametrize("declared", [True, False])
def test_a_file_with_another_sha256_is_discarded(
    server: RunningServer, api: Api, run: dict[str, Any], declared: bool
) -> None:
    upload = ticket(api, run) if declared else api.prepare(modelId=run["modelId"], runId=run["runId"])
    url = begun(upload["tus"]["create"], len(WEIGHTS), **({} if declared else {"sha256": sha256(WEIGHTS)}))
    assert patch(url, 0, b"x" * len(WEIGHTS)).status_code == 460
    assert head(url).status_code == 404
    assert save(api, run, upload) == 409
    assert (kept(server), partial(server)) == ([], [])


def test_a_put_with_another_sha256_than_announced_is_not_kept(
    server: RunningServer, api: Api, run: dict[str, Any]
) -> None:
    upload = ticket(api, run)
    assert put(upload["uploadUrl"], b"x" * len(WEIGHTS)).status_code == 400
    assert kept(server) == []
    assert put(upload["uploadUrl"], WEIGHTS).status_code == 200


def test_requests_that_violate_tus_are_refused_and_change_nothing(api: Api, run: dict[str, Any]) -> None:
    url = begun(ticket(api, run)["tus"]["create"], len(WEIGHTS))
    patch(url, 0, b"01")
    assert patch(url, 1, b"1").status_code == 409
    assert patch(url, 3, b"3").status_code == 409
    assert patch(url, 2, b"x", **{"Content-Type": "application/octet-stream"}).status_code == 415
    assert patch(url, 2, WEIGHTS).status_code == 413
    assert patch(url, 2, iter([WEIGHTS]), **checksum(WEIGHTS)).status_code == 413
    assert patch(url, 2, b"2", **{"Upload-Checksum": "crc32 AAAA"}).status_code == 400
    assert patch(url, 2, b"2", **{"Upload-Offset": "x"}).status_code == 400
    for method in ("HEAD", "PATCH", "DELETE"):
        for version in ({}, {"Tus-Resumable": "0.2.2"}):
            refused = requests.request(method, url, headers=version, timeout=100)
            assert (refused.status_code, refused.headers["Tus-Version"]) == (412, "1.0.0")
    assert offset(url) == 2


def test_a_transfer_must_match_its_upload(server: RunningServer, api: Api, run: dict[str, Any]) -> None:
    url = ticket(api, run)["tus"]["create"]
    assert create(url, 1).status_code == 400
    assert create(url, len(WEIGHTS), sha256=sha256(b"other")).status_code == 400
    assert create(url, len(WEIGHTS), sha256="no digest").status_code == 400
    assert create(url, 2**50).status_code == 413
    unknown = {**TUS, "Upload-Defer-Length": "1"}
    assert requests.post(url, headers=unknown, timeout=100).status_code == 400
    assert requests.post(url, headers={"Upload-Length": "1"}, timeout=100).status_code == 412
    assert partial(server) == []


@pytest.mark.parametrize("digest", ["", "ab", "g" * 64, 7])
def test_an_invalid_sha256_is_refused(api: Api, run: dict[str, Any], digest: object) -> None:
    wish = {"filename": "best.pt", "modelId": run["modelId"], "runId": run["runId"], "sha256": digest}
    assert api.post(UPLOAD, wish).status_code == 422


def test_capabilities_need_no_signature(server: RunningServer) -> None:
    for path in ("/storage/uploads/any/transfers", "/storage/transfers/any"):
        told = requests.options(server.url + path, timeout=100)
        assert (told.status_code, told.headers["Tus-Version"], told.headers["Tus-Resumable"]) == (204, "1.0.0", "1.0.0")
        assert set(told.headers["Tus-Extension"].split(",")) == {"creation", "checksum", "expiration", "termination"}
        assert told.headers["Tus-Checksum-Algorithm"] == "sha256,sha1,md5"
        assert int(told.headers["Tus-Max-Size"]) > 2**32


def test_a_terminated_upload_is_gone(server: RunningServer, api: Api, run: dict[str, Any]) -> None:
    upload = ticket(api, run)
    url = begun(upload["tus"]["create"], len(WEIGHTS))
    patch(url, 0, WEIGHTS[:HALF])
    assert requests.delete(url, headers=TUS, timeout=100).status_code == 204
    assert head(url).status_code == 404
    assert patch(url, HALF, WEIGHTS[HALF:]).status_code == 404
    assert requests.delete(url, headers=TUS, timeout=100).status_code == 404
    assert partial(server) == []
    assert "resume" not in ticket(api, run)["tus"]


def test_the_method_may_be_in_a_header(api: Api, run: dict[str, Any]) -> None:
    url = begun(ticket(api, run)["tus"]["create"], len(WEIGHTS))
    instead = {**BYTES, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    assert requests.post(url, data=WEIGHTS[:HALF], headers=instead, timeout=100).status_code == 204
    assert offset(url) == HALF
    assert requests.post(url, headers=TUS, timeout=100).status_code == 404


def test_an_empty_file_is_complete_at_once(server: RunningServer, api: Api, run: dict[str, Any]) -> None:
    upload = ticket(api, run, b"")
    assert offset(begun(upload["tus"]["create"], 0)) == 0
    assert save(api, run, upload) == 200
    assert kept(server) == [b""]


def test_signatures_fit_one_upload_and_tus_only(api: Api, run: dict[str, Any]) -> None:
    first, second = ticket(api, run, b"a"), ticket(api, run, b"b")
    url, other = begun(first["tus"]["create"], 1), begun(second["tus"]["create"], 1)

    def signed_as(path_of: str, signature_of: str) -> str:
        return f"{path_of.split('?', maxsplit=1)[0]}?{urlsplit(signature_of).query}"

    assert head(signed_as(url, other)).status_code == 403
    assert patch(signed_as(url, first["tus"]["create"]), 0, b"a").status_code == 403
    assert create(signed_as(first["tus"]["create"], second["tus"]["create"]), 1).status_code == 403
    assert create(signed_as(first["tus"]["create"], first["uploadUrl"]), 1).status_code == 403
    assert put(signed_as(first["uploadUrl"], first["tus"]["create"]), b"a").status_code == 403
    assert patch(url.split("?")[0], 0, b"a").status_code == 403
    assert offset(url) == 0


def test_clients_of_2025_and_those_without_a_run_are_offered_none(
    tmp_path: Path, api: Api, run: dict[str, Any]
) -> None:
    assert "tus" not in api.prepare(project="demo", name="train")
    with running(tmp_path / "old", api_key="k", contract="2025") as old:
        before = Api(old.url, "k")
        before.start()
        assert set(before.prepare(project="demo", name="train")) == {"uploadUrl", "gcsPath"}


# Resuming


def test_an_upload_requested_again_resumes(server: RunningServer, api: Api, run: dict[str, Any]) -> None:
    first = ticket(api, run)
    assert "resume" not in first["tus"]
    patch(begun(first["tus"]["create"], len(WEIGHTS)), 0, WEIGHTS[:HALF])
    again = ticket(api, run)
    assert offset(again["tus"]["resume"]) == HALF
    assert patch(again["tus"]["resume"], HALF, WEIGHTS[HALF:]).status_code == 204
    assert save(api, run, again) == 200
    assert save(api, run, first) == 409  # it was handed over
    assert kept(server) == [WEIGHTS]


def test_an_upload_that_has_arrived_leaves_nothing_to_send(api: Api, run: dict[str, Any]) -> None:
    assert patch(begun(ticket(api, run)["tus"]["create"], len(WEIGHTS)), 0, WEIGHTS).status_code == 204
    again = ticket(api, run)
    assert offset(again["tus"]["resume"]) == len(WEIGHTS)
    assert patch(again["tus"]["resume"], len(WEIGHTS), b"").status_code == 204
    assert patch(again["tus"]["resume"], 0, WEIGHTS).status_code == 409
    assert save(api, run, again) == 200


def test_other_bytes_runs_and_models_have_nothing_to_resume(api: Api, run: dict[str, Any]) -> None:
    patch(begun(ticket(api, run)["tus"]["create"], len(WEIGHTS)), 0, WEIGHTS[:HALF])
    other_model = api.start("other")
    other_run = api.event("training_started", {}, modelId=run["modelId"])
    asked = [ticket(api, run, b"other"), ticket(api, other_model), ticket(api, other_run)]
    asked.append(api.prepare(modelId=run["modelId"], runId=run["runId"], size=len(WEIGHTS)))
    assert ["resume" in each["tus"] for each in asked] == [False] * 4


def test_a_repeated_request_learns_of_a_transfer_begun_meanwhile(api: Api, run: dict[str, Any]) -> None:
    said = {"size": len(WEIGHTS), "sha256": sha256(WEIGHTS), "modelId": run["modelId"], "runId": run["runId"]}
    first, again = (api.post(UPLOAD, {"filename": "best.pt", **said}, key="k1").json(), None)
    patch(begun(first["tus"]["create"], len(WEIGHTS)), 0, WEIGHTS[:HALF])
    again = api.post(UPLOAD, {"filename": "best.pt", **said}, key="k1").json()
    assert again["uploadPath"] == first["uploadPath"]
    assert offset(again["tus"]["resume"]) == HALF


# Interrupted


def broken_off(url: str, sent: bytes, **headers: str) -> None:
    """PATCH a part of a body, end the connection, and wait until the server has noticed."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    said = {**BYTES, "Upload-Offset": "0", "Content-Length": str(len(WEIGHTS)), "Host": parts.netloc, **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in said.items())
    with socket.create_connection((parts.hostname, parts.port), timeout=100) as connection:
        connection.sendall(f"PATCH {parts.path}?{parts.query} HTTP/1.1\r\n{lines}\r\n".encode() + sent)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass


def test_the_bytes_of_a_chunk_that_breaks_off_are_kept(tmp_path: Path) -> None:
    with running(tmp_path, api_key="k") as server:
        api = Api(server.url, "k")
        run = api.start()
        broken_off(begun(ticket(api, run)["tus"]["create"], len(WEIGHTS)), WEIGHTS[:3_000_001])
    with running(tmp_path, api_key="k") as server:  # the first has ended, so nothing is still arriving
        api = Api(server.url, "k")
        url = ticket(api, run)["tus"]["resume"]
        assert offset(url) == 3_000_001
        assert patch(url, 3_000_001, WEIGHTS[3_000_001:]).status_code == 204
        assert kept(server) == [WEIGHTS]


def test_nothing_is_kept_of_a_checked_chunk_that_breaks_off(tmp_path: Path) -> None:
    with running(tmp_path, api_key="k") as server:
        api = Api(server.url, "k")
        url = begun(ticket(api, api.start())["tus"]["create"], len(WEIGHTS))
        broken_off(url, WEIGHTS[:3_000_001], **checksum(WEIGHTS))
    assert partial(server) == []


@contextmanager
def arriving(url: str, sent: bytes, **headers: str) -> Iterator[socket.socket]:
    """PATCH a part of a body and leave the request open; the block begins when the server reads it."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    said = {**BYTES, "Upload-Offset": "0", "Content-Length": str(len(WEIGHTS)), "Host": parts.netloc, **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in said.items())
    with socket.create_connection((parts.hostname, parts.port), timeout=100) as connection:
        head_ = f"PATCH {parts.path}?{parts.query} HTTP/1.1\r\nExpect: 100-continue\r\n{lines}\r\n"
        connection.sendall(head_.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 100 ")  # sent when the body is first read
        connection.sendall(sent)
        yield connection


def test_concurrent_writes_never_mix(server: RunningServer, api: Api, run: dict[str, Any]) -> None:
    url = begun(ticket(api, run)["tus"]["create"], len(WEIGHTS))
    with arriving(url, WEIGHTS[:HALF]) as first:
        assert patch(url, 0, b"x" * HALF).status_code == 423
        assert requests.delete(url, headers=TUS, timeout=100).status_code == 423
        first.sendall(WEIGHTS[HALF:])
        assert first.recv(4096).startswith(b"HTTP/1.1 204 ")
    assert kept(server) == [WEIGHTS]


@pytest.mark.parametrize("checked", [False, True])
def test_what_was_acknowledged_survives_a_killed_server(tmp_path: Path, checked: bool) -> None:
    server = f"""
import sys
from pathlib import Path
from uploader.server.running import running
with running(Path({str(tmp_path)!r}), api_key="k") as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""
    command = [sys.executable, "-c", server]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        api = Api(process.stdout.readline().strip(), "k")
        run = api.start()
        url = begun(ticket(api, run)["tus"]["create"], len(WEIGHTS))
        assert patch(url, 0, WEIGHTS[:1000]).status_code == 204
        said = {"Upload-Offset": "1000", "Content-Length": str(len(WEIGHTS) - 1000)}
        with arriving(url, WEIGHTS[1000:HALF], **said, **(checksum(WEIGHTS[1000:]) if checked else {})):
            process.kill()
    with running(tmp_path, api_key="k") as restarted:
        api = Api(restarted.url, "k")
        url = ticket(api, run)["tus"]["resume"]
        here = offset(url)
        assert here == 1000 if checked else here >= 1000
        assert patch(url, here, WEIGHTS[here:]).status_code == 204
        assert kept(restarted) == [WEIGHTS]


def test_a_server_that_ended_before_the_last_record_makes_it_on_request(tmp_path: Path) -> None:
    with running(tmp_path, api_key="k") as server:
        api = Api(server.url, "k")
        run = api.start()
        upload = ticket(api, run)
        patch(begun(upload["tus"]["create"], len(WEIGHTS)), 0, WEIGHTS[:-1])
    (path,) = (tmp_path / "partial").iterdir()
    path.write_bytes(WEIGHTS)
    with running(tmp_path, api_key="k") as server:
        api = Api(server.url, "k")
        again = ticket(api, run)
        assert save(api, run, again) == 409
        assert offset(again["tus"]["resume"]) == len(WEIGHTS)
        assert save(api, run, again) == 200
        assert kept(server) == [WEIGHTS]


# Over time


def test_an_expired_upload_is_gone_and_then_removed(tmp_path: Path) -> None:
    now = [NOW]
    with running(tmp_path, api_key="k", clock=lambda: now[0]) as server:
        api = Api(server.url, "k")
        run = api.start()
        first = ticket(api, run)
        url = begun(first["tus"]["create"], len(WEIGHTS))
        patch(url, 0, WEIGHTS[:HALF])
        now[0] += LIFETIME - 1
        assert patch(url, HALF, b"5").status_code == 204  # the URL lasts as long as the upload
        now[0] += 1
        assert (head(url).status_code, patch(url, HALF + 1, b"6").status_code) == (410, 410)
        assert partial(server) == [".part"]
        again = ticket(api, run)
        assert "resume" not in again["tus"]
        begun(again["tus"]["create"], len(WEIGHTS))
        assert partial(server) == []
        assert head(url).status_code == 404


def test_expired_and_orphaned_files_are_removed_at_the_start(tmp_path: Path) -> None:
    now = [NOW]
    with running(tmp_path, api_key="k", clock=lambda: now[0]) as server:
        api = Api(server.url, "k")
        urls = [begun(ticket(api, api.start(name))["tus"]["create"], len(WEIGHTS)) for name in ("a", "b")]
        for url in urls:
            patch(url, 0, WEIGHTS[:HALF])
        assert api.request("DELETE", "/api/models/local/demo/a").status_code == 200
        assert head(urls[0]).status_code == 404
    (tmp_path / "partial" / "0123.chunk").write_bytes(b"never checked")
    name = re.search(r"/transfers/(\w+)", urls[1])
    assert name is not None
    with running(tmp_path, api_key="k", clock=lambda: now[0]):
        assert [path.name for path in (tmp_path / "partial").iterdir()] == [f"{name[1]}.part"]
    now[0] += LIFETIME
    with running(tmp_path, api_key="k", clock=lambda: now[0]):
        assert list((tmp_path / "partial").iterdir()) == []
