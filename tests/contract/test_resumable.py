"""Uploads in chunks: what goes over the wire to storages that know tus, to Google's sessions, to plain signed URLs."""

from __future__ import annotations

import base64
import hashlib
import itertools
import logging
import traceback
from collections.abc import Callable
from dataclasses import replace

import pytest
from support.resumable_storage import Fault, GcsStorage, TusStorage
from support.scripted_server import Reply, Request, ScriptedServer, free_port, received, scripted_server

from uploader.errors import BlobUnusable, DeliveryError, Interrupted, Refused, Transient, UnknownOutcome, Unreachable
from uploader.platforms.base import Platform, Receipt, Upload
from uploader.platforms.uploads.resumable import FRUITLESS, LEAST_CHUNK

METRICS = "/api/webhooks/training/metrics"
UPLOAD = "/api/webhooks/models/upload"
CHUNKS = 4  # of the megabyte that the fixture uploads
PATCHED = ["PATCH"] * CHUNKS

pytestmark = pytest.mark.parametrize("kind", ["ultralytics"], indirect=True)


@pytest.fixture
def tus(server: ScriptedServer) -> TusStorage:
    server.script = storage = TusStorage()
    return storage


@pytest.fixture
def gcs(server: ScriptedServer) -> GcsStorage:
    server.script = storage = GcsStorage()
    return storage


def send(client: Platform, checkpoint: Upload) -> Receipt:
    return client.upload(checkpoint, lambda _: None)


def failure(client: Platform, checkpoint: Upload) -> DeliveryError:
    """Upload in vain; the error shows nothing of the URLs."""
    with pytest.raises(DeliveryError) as caught:
        send(client, checkpoint)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))
    return caught.value


def methods(server: ScriptedServer) -> list[str]:
    """Return what the storage was asked, in order."""
    return [each.method for each in server.requests if not each.path.startswith("/api/")]


def asks(server: ScriptedServer) -> int:
    """Return how often the platform was asked for a place."""
    return sum(each.path == UPLOAD for each in server.requests)


def nth(method: str, number: int, reply: Reply) -> Fault:
    """Answer the n-th request of a kind with this, all others as usual."""
    seen = 0

    def fault(request: Request) -> Reply | None:
        nonlocal seen
        seen += request.method == method
        return reply if request.method == method and seen == number else None

    return fault


def always(method: str, reply: Reply) -> Fault:
    return lambda request: reply if request.method == method and not request.path.startswith("/api/") else None


# --- tus


def test_a_file_goes_out_in_chunks_with_their_checksums(
    client: Platform, server: ScriptedServer, tus: TusStorage, checkpoint: Upload
) -> None:
    heard: list[int] = []
    receipt = client.upload(checkpoint, heard.append)
    content = checkpoint.content.read_bytes()
    assert tus.uploads == {"1": content}
    assert methods(server) == ["OPTIONS", "POST", *PATCHED]
    assert receipt.answer["sha256"] == checkpoint.sha256
    assert "s3cret" not in repr(receipt)
    assert sorted(set(heard)) == [number * LEAST_CHUNK for number in range(CHUNKS + 1)]
    for number, request in enumerate(each for each in server.requests if each.method == "PATCH"):
        chunk = content[number * LEAST_CHUNK : (number + 1) * LEAST_CHUNK]
        digest = base64.b64encode(hashlib.sha256(chunk).digest()).decode()
        assert request.headers["upload-checksum"] == f"sha256 {digest}"
        assert request.headers["content-type"] == "application/offset+octet-stream"
        assert request.headers["upload-offset"] == str(number * LEAST_CHUNK)


def test_the_path_of_an_upload_is_not_logged(
    client: Platform, server: ScriptedServer, tus: TusStorage, checkpoint: Upload, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that signs nothing gives URLs that are a right by their path."""
    tus.fault = nth("PATCH", 2, Reply(reset=True))
    with caplog.at_level(logging.DEBUG):
        send(client, checkpoint)
    assert '"PATCH /…?… HTTP/1.1"' in caplog.text
    assert "/files" not in caplog.text
    assert f'"POST {UPLOAD} HTTP/1.1"' in caplog.text


def test_the_storage_is_told_name_and_digest_and_gets_no_credentials(
    client: Platform, server: ScriptedServer, tus: TusStorage, checkpoint: Upload
) -> None:
    send(client, checkpoint)
    [create] = [each for each in server.requests if each.method == "POST" and each.path.startswith("/files")]
    assert create.headers["upload-length"] == str(checkpoint.size)
    pairs = dict(pair.split() for pair in create.headers["upload-metadata"].split(","))
    told = {name: base64.b64decode(value).decode() for name, value in pairs.items()}
    assert told == {"filename": "best.pt", "sha256": checkpoint.sha256}
    ours = [each for each in server.requests if each.path.startswith("/files")]
    assert all("authorization" not in each.headers and "cookie" not in each.headers for each in ours)


def test_the_checkpoint_is_promoted_when_the_last_byte_is_there(
    client: Platform, server: ScriptedServer, tus: TusStorage, checkpoint: Upload
) -> None:
    send(client, checkpoint)
    assert server.requests[-1].path == METRICS
    assert server.requests[-1].json()["data"]["uploadPath"] == "staging/1"


@pytest.mark.parametrize("extensions", ["creation", "creation,termination"])
def test_a_server_without_checksums_gets_none(
    client: Platform, server: ScriptedServer, tus: TusStorage, checkpoint: Upload, extensions: str
) -> None:
    tus.extensions = extensions
    send(client, checkpoint)
    assert tus.uploads["1"] == checkpoint.content.read_bytes()
    assert all("upload-checksum" not in each.headers for each in server.requests)


@pytest.mark.parametrize(
    "answer",
    [
        Reply(405, b""),
        Reply(404, b""),
        Reply(204, b"", {"Tus-Version": "0.2.2", "Tus-Extension": "creation"}),
        Reply(204, b"", {"Tus-Version": "1.0.0", "Tus-Extension": "expiration"}),
    ],
)
def test_a_server_that_cannot_begin_uploads_gets_the_file_in_one_piece(
    client: Platform, server: ScriptedServer, tus: TusStorage, checkpoint: Upload, answer: Reply
) -> None:
    tus.fault = always("OPTIONS", answer)
    send(client, checkpoint)
    assert methods(server) == ["OPTIONS", "PUT"]


def test_a_file_of_one_chunk_is_sent_in_one_piece(
    client: Platform, server: ScriptedServer, tus: TusStorage, checkpoint: Upload
) -> None:
    small = bytes(LEAST_CHUNK)
    checkpoint.content.write_bytes(small)
    send(client, replace(checkpoint, size=len(small), sha256=hashlib.sha256(small).hexdigest()))
    assert methods(server) == ["PUT"]


@pytest.mark.parametrize("urls", [None, [], {}, {"create": None}, "http://"])
def test_an_offer_that_is_none_is_not_taken(
    client: Platform, server: ScriptedServer, checkpoint: Upload, urls: object
) -> None:
    def script(request: Request) -> Reply:
        reply = received(request)
        return replace(reply, body={**reply.body, "tus": urls}) if request.path == UPLOAD else reply

    server.script = script
    send(client, checkpoint)
    assert methods(server) == ["PUT"]


# --- tus: cut, and gone on with


@pytest.mark.parametrize("cut_and_kept", list(itertools.product(range(1, CHUNKS + 1), [True, False])))
def test_a_cut_costs_one_chunk_and_no_new_place(
    client: Platform, server: ScriptedServer, tus: TusStorage, checkpoint: Upload, cut_and_kept: tuple[int, bool]
) -> None:
    number, kept = cut_and_kept
    cut = nth("PATCH", number, Reply(reset=True))

    def fault(request: Request) -> Reply | None:
        reply = cut(request)
        if reply is not None and kept:
            tus.uploads["1"] += request.body
        return reply

    tus.fault = fault
    send(client, checkpoint)
    assert tus.uploads == {"1": checkpoint.content.read_bytes()}
    sent = CHUNKS if kept else CHUNKS + 1
    assert (methods(server).count("HEAD"), methods(server).count("PATCH"), asks(server)) == (1, sent, 1)


def test_a_chunk_that_arrived_as_other_bytes_is_sent_again(
    client: Platform, server: ScriptedServer, tus: TusStorage, checkpoint: Upload
) -> None:
    tus.fault = nth("PATCH", 2, Reply(460, b""))
    send(client, checkpoint)
    assert tus.uploads == {"1": checkpoint.content.read_bytes()}
    assert methods(server) == ["OPTIONS", "POST", "PATCH", "PATCH", "HEAD", "PATCH", "PATCH", "PATCH"]


@pytest.mark.parametrize("status", [409, 460])
def test_a_server_that_never_takes_a_chunk_is_left_alone_for_a_while(
    client: Platform, server: ScriptedServer, tus: TusStorage, checkpoint: Upload, status: int
) -> None:
    tus.fault = always("PATCH", Reply(status, b""))
    assert isinstance(failure(client, checkpoint), Transient)
    assert methods(server).count("PATCH") == FRUITLESS
    tus.fault = lambda _: None
    send(client, checkpoint)
    assert (asks(server), tus.uploads["2"]) == (2, checkpoint.content.read_bytes())


def test_a_server_that_is_busy_with_an_earlier_request_keeps_what_it_has(
    client: Platform, server: ScriptedServer, tus: TusStorage, checkpoint: Upload
) -> None:
    busy = always("PATCH", Reply(423, b""))
    tus.fault = lambda request: busy(request) if tus.uploads and tus.uploads["1"] else None
    assert isinstance(failure(client, checkpoint), Transient)
    assert methods(server).count("PATCH") == 1 + FRUITLESS
    server.requests.clear()
    tus.fault = lambda _: None
    send(client, replace(checkpoint, attempt=2))
    assert (asks(server), methods(server)) == (0, ["HEAD", "PATCH", "PATCH", "PATCH"])
    assert tus.uploads == {"1": checkpoint.content.read_bytes()}


def test_the_next_attempt_goes_on_without_asking_for_a_place(
    client: Platform, server: ScriptedServer, tus: TusStorage, checkpoint: Upload
) -> None:
    tus.fault = nth("PATCH", 3, Reply(503, b"", {"Retry-After": "7"}))
    error = failure(client, checkpoint)
    assert isinstance(error, Transient)
    assert error.retry_after == 7
    server.requests.clear()
    send(client, replace(checkpoint, attempt=2))
    assert (methods(server), asks(server)) == (["HEAD", "PATCH", "PATCH"], 0)
    assert tus.uploads == {"1": checkpoint.content.read_bytes()}
    assert server.requests[-1].json()["data"]["uploadPath"] == "staging/1"


def test_a_promotion_whose_answer_was_lost_is_asked_for_again_without_the_bytes(
    client: Platform, server: ScriptedServer, tus: TusStorage, checkpoint: Upload
) -> None:
    tus.fault = lambda request: Reply(reset=True) if request.path == METRICS else None
    assert isinstance(failure(client, checkpoint), UnknownOutcome)
    [first] = [each for each in server.requests if each.path == METRICS]
    server.requests.clear()
    tus.fault = lambda _: None
    send(client, replace(checkpoint, attempt=2))
    assert methods(server) == ["HEAD"]
    assert server.requests[-1].headers["idempotency-key"] == first.headers["idempotency-key"]


def test_a_complete_upload_is_forgotten(
    client: Platform, server: ScriptedServer, tus: TusStorage, checkpoint: Upload
) -> None:
    send(client, checkpoint)
    send(client, checkpoint)
    assert asks(server) == 2


@pytest.mark.parametrize("status", [404, 409, 422])
def test_an_upload_that_got_lost_at_the_platform_begins_anew(
    client: Platform, server: ScriptedServer, tus: TusStorage, checkpoint: Upload, status: int
) -> None:
    tus.fault = lambda request: Reply(status, {}) if request.path == METRICS else None
    assert isinstance(failure(client, checkpoint), (Transient, Refused))
    tus.fault = lambda _: None
    send(client, replace(checkpoint, attempt=2))
    assert (asks(server), len(tus.uploads)) == (2, 2)


def test_another_process_goes_on_where_the_platform_remembers(
    client: Platform,
    connect: Callable[[str], Platform],
    server: ScriptedServer,
    tus: TusStorage,
    checkpoint: Upload,
) -> None:
    tus.fault, tus.remembers = nth("PATCH", 3, Reply(503, b"")), True
    failure(client, checkpoint)
    server.requests.clear()
    send(connect(server.url), checkpoint)
    assert methods(server) == ["OPTIONS", "HEAD", "PATCH", "PATCH"]
    assert tus.uploads == {"1": checkpoint.content.read_bytes()}


# --- tus: places that are over, and servers that lie


@pytest.mark.parametrize("over", list(itertools.product([("POST", 1), ("PATCH", 3)], [400, 401, 403, 404, 410])))
def test_a_place_that_is_over_is_replaced_once(
    client: Platform, server: ScriptedServer, tus: TusStorage, checkpoint: Upload, over: tuple[tuple[str, int], int]
) -> None:
    (method, number), status = over
    once = nth(method, number, Reply(status, b""))
    tus.fault = lambda request: None if request.path.startswith("/api/") else once(request)
    send(client, checkpoint)
    assert asks(server) == 2
    assert list(tus.uploads.values())[-1] == checkpoint.content.read_bytes()


@pytest.mark.parametrize("status", [404, 410])
def test_an_upload_that_expired_between_attempts_gets_a_new_place(
    client: Platform, server: ScriptedServer, tus: TusStorage, checkpoint: Upload, status: int
) -> None:
    tus.fault = nth("PATCH", 3, Reply(503, b""))
    failure(client, checkpoint)
    tus.fault = nth("HEAD", 1, Reply(status, b""))
    send(client, replace(checkpoint, attempt=2))
    assert asks(server) == 2
    assert tus.uploads["2"] == checkpoint.content.read_bytes()


def test_two_places_that_are_over_are_not_our_keys_fault(
    client: Platform, server: ScriptedServer, tus: TusStorage, checkpoint: Upload
) -> None:
    tus.fault = always("PATCH", Reply(403, b""))
    assert isinstance(failure(client, checkpoint), Transient)
    assert asks(server) == 2


def test_more_than_was_sent_is_not_believed(
    client: Platform, server: ScriptedServer, tus: TusStorage, checkpoint: Upload
) -> None:
    tus.fault = nth("PATCH", 2, Reply(204, b"", {"Upload-Offset": str(checkpoint.size + 1)}))
    send(client, checkpoint)
    assert asks(server) == 2
    assert tus.uploads["2"] == checkpoint.content.read_bytes()


def test_what_the_server_forgot_is_sent_again(
    client: Platform, server: ScriptedServer, tus: TusStorage, checkpoint: Upload
) -> None:
    cut = nth("PATCH", 3, Reply(reset=True))

    def fault(request: Request) -> Reply | None:
        reply = cut(request)
        if reply is not None:
            del tus.uploads["1"][5:]  # as after a power cut there
        return reply

    tus.fault = fault
    send(client, checkpoint)
    assert tus.uploads == {"1": checkpoint.content.read_bytes()}


@pytest.mark.parametrize(
    "headers", [{}, {"Location": ""}, {"Location": "http://[s3cret"}, {"Location": "ftp://host/s3cret"}]
)
def test_an_upload_that_is_nowhere_is_none(
    client: Platform, server: ScriptedServer, tus: TusStorage, checkpoint: Upload, headers: dict[str, str]
) -> None:
    tus.fault = always("POST", Reply(201, b"", headers))
    for _ in range(2):
        assert isinstance(failure(client, checkpoint), Transient)
    assert asks(server) == 2


@pytest.mark.parametrize("offset", [None, "many", "-1", "9" * 5000])
def test_an_answer_without_an_offset_is_none(
    client: Platform, server: ScriptedServer, tus: TusStorage, checkpoint: Upload, offset: str | None
) -> None:
    headers = {} if offset is None else {"Upload-Offset": offset}
    tus.fault = always("PATCH", Reply(200, b"<html>Sign in</html>", headers))
    assert isinstance(failure(client, checkpoint), Transient)


def test_a_damaged_file_never_arrives_whole_and_is_ended_there(
    client: Platform, server: ScriptedServer, tus: TusStorage, checkpoint: Upload
) -> None:
    damaged = bytearray(checkpoint.content.read_bytes())
    damaged[0] ^= 1
    checkpoint.content.write_bytes(damaged)
    assert isinstance(failure(client, checkpoint), BlobUnusable)
    assert methods(server) == ["OPTIONS", "POST", *PATCHED[1:], "DELETE"]
    assert tus.uploads == {}


def test_a_storage_that_is_down_does_not_make_the_platform_unreachable(
    client: Platform, server: ScriptedServer, checkpoint: Upload
) -> None:
    storage = "http://127.0.0.1:1/files?signature=s3cret"
    place = {"uploadUrl": storage, "gcsPath": "models/best.pt", "tus": {"create": storage}}
    server.script = lambda _: Reply(body=place)
    assert isinstance(failure(client, checkpoint), Transient)


def test_a_platform_that_is_down_in_the_middle_is_unreachable(
    connect: Callable[[str], Platform], checkpoint: Upload
) -> None:
    """Where it keeps the files itself: the attempt does not count then, and the drain waits for the host."""
    with scripted_server(TusStorage(fault=nth("PATCH", 3, Reply(503, b""))), port=free_port()) as first:
        client = connect(first.url)
        failure(client, checkpoint)
    assert isinstance(failure(client, checkpoint), Unreachable)


def test_an_upload_can_be_ended_in_the_middle_of_a_chunk(
    client: Platform, server: ScriptedServer, tus: TusStorage, checkpoint: Upload
) -> None:
    """As when the drain is told to stop; the next attempt goes on."""
    calls = itertools.count()

    def hear(confirmed: int) -> None:
        if confirmed == 2 * LEAST_CHUNK and next(calls) == 3:  # some blocks of the third chunk have gone out
            raise Interrupted("stopped")

    with pytest.raises(Interrupted):
        client.upload(checkpoint, hear)
    assert methods(server)[2:] == ["PATCH", "PATCH"]
    send(client, checkpoint)
    assert tus.uploads == {"1": checkpoint.content.read_bytes()}


# --- Google's sessions


def test_a_session_is_sent_ranges(
    client: Platform, server: ScriptedServer, gcs: GcsStorage, checkpoint: Upload
) -> None:
    send(client, checkpoint)
    assert gcs.sessions == [checkpoint.content.read_bytes()]
    puts = [each for each in server.requests if each.method == "PUT"]
    ranges = [f"bytes {start}-{start + LEAST_CHUNK - 1}/{checkpoint.size}" for start in range(0, 2**20, LEAST_CHUNK)]
    assert [each.headers["content-range"] for each in puts] == ranges
    assert all("authorization" not in each.headers for each in puts)


def test_a_session_that_was_cut_is_asked_and_gone_on_with(
    client: Platform, server: ScriptedServer, gcs: GcsStorage, checkpoint: Upload
) -> None:
    gcs.fault = nth("PUT", 3, Reply(reset=True))
    send(client, checkpoint)
    assert gcs.sessions == [checkpoint.content.read_bytes()]
    puts = [each for each in server.requests if each.method == "PUT"]
    assert puts[3].headers["content-range"] == f"bytes */{checkpoint.size}"
    assert puts[3].headers["content-length"] == "0"
    assert (len(puts), asks(server)) == (CHUNKS + 2, 1)


def test_a_session_may_take_less_than_it_was_sent(
    client: Platform, server: ScriptedServer, gcs: GcsStorage, checkpoint: Upload
) -> None:
    gcs.keeps = 200_000
    send(client, checkpoint)
    assert gcs.sessions == [checkpoint.content.read_bytes()]


def test_the_next_attempt_goes_on_in_the_same_session(
    client: Platform, server: ScriptedServer, gcs: GcsStorage, checkpoint: Upload
) -> None:
    gcs.fault = nth("PUT", 3, Reply(503, b""))
    failure(client, checkpoint)
    server.requests.clear()
    send(client, replace(checkpoint, attempt=2))
    ranges = [each.headers["content-range"] for each in server.requests if each.method == "PUT"]
    assert ranges[0] == f"bytes */{checkpoint.size}"
    assert ranges[1].startswith(f"bytes {2 * LEAST_CHUNK}-")
    assert asks(server) == 0
    assert gcs.sessions == [checkpoint.content.read_bytes()]


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_session_that_is_over_is_replaced_once(
    client: Platform, server: ScriptedServer, gcs: GcsStorage, checkpoint: Upload, status: int
) -> None:
    gcs.fault = nth("PUT", 3, Reply(status, b""))
    send(client, checkpoint)
    assert asks(server) == 2
    assert gcs.sessions[1] == checkpoint.content.read_bytes()


def test_a_session_that_ends_with_other_bytes_is_replaced_once(
    client: Platform, server: ScriptedServer, gcs: GcsStorage, checkpoint: Upload
) -> None:
    other = {"kind": "storage#object", "size": str(checkpoint.size), "md5Hash": "1B2M2Y8AsgTpgAmY7PhCfg=="}
    gcs.fault = nth("PUT", CHUNKS, Reply(200, other))
    send(client, checkpoint)
    assert asks(server) == 2
    assert gcs.sessions[1] == checkpoint.content.read_bytes()


def test_a_success_before_the_last_byte_is_not_believed(
    client: Platform, server: ScriptedServer, gcs: GcsStorage, checkpoint: Upload
) -> None:
    gcs.fault = always("PUT", Reply(200, b"<html>Sign in</html>"))
    assert isinstance(failure(client, checkpoint), Transient)
    assert METRICS not in [each.path for each in server.requests]


def test_an_empty_file_ends_a_session(
    client: Platform, server: ScriptedServer, gcs: GcsStorage, checkpoint: Upload
) -> None:
    checkpoint.content.write_bytes(b"")
    send(client, replace(checkpoint, size=0, sha256=hashlib.sha256(b"").hexdigest()))
    [put] = [each for each in server.requests if each.method == "PUT"]
    assert put.headers["content-range"] == "bytes */0"


def test_a_damaged_file_ends_a_session(
    client: Platform, server: ScriptedServer, gcs: GcsStorage, checkpoint: Upload
) -> None:
    checkpoint.content.write_bytes(bytes(checkpoint.size))
    assert isinstance(failure(client, checkpoint), BlobUnusable)
    assert methods(server) == [*["PUT"] * (CHUNKS - 1), "DELETE"]


# --- plain signed URLs


@pytest.mark.parametrize("reply", [Reply(reset=True), Reply(503, b""), Reply(403, b""), Reply(308, b"")])
def test_a_plain_signed_url_is_never_asked_how_much_it_has(
    client: Platform, server: ScriptedServer, checkpoint: Upload, reply: Reply
) -> None:
    """It could take the question for an empty file."""
    server.script = lambda request: reply if request.method == "PUT" else received(request)
    for attempt in (1, 2):
        failure(client, replace(checkpoint, attempt=attempt))
    server.script = received
    send(client, replace(checkpoint, attempt=3))
    puts = [each for each in server.requests if each.method == "PUT"]
    assert all("content-range" not in each.headers for each in puts)
    assert {each.headers["content-length"] for each in puts} == {str(checkpoint.size)}
