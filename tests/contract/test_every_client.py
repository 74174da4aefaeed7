"""What the drain relies on, whatever platform it talks to. Every client passes this suite."""

from __future__ import annotations

import json
import logging
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest
from support.scripted_server import Reply, Request, ScriptedServer, free_port, scripted_server

from journal.records import MODEL_ID
from uploader.errors import (
    BlobUnusable,
    CredentialsRefused,
    DeliveryError,
    Forbidden,
    Foreign,
    Refused,
    Transient,
    UnknownOutcome,
    Unreachable,
)
from uploader.platforms.base import Message, Platform, Receipt, Upload

KEY = "ul_contract_key"
Action = Callable[[Platform], Receipt]


class Kind(Protocol):
    """The part of `support.contract.Client` that is needed here."""

    answers: Callable[[Request], Reply]
    reads_lists: bool

    def data_of(self, request: Request) -> Any: ...

    def file_of(self, request: Request) -> bytes | None: ...


def arrived_files(server: ScriptedServer, kind: Kind) -> list[bytes]:
    return [file for file in map(kind.file_of, server.requests) if file is not None]


@pytest.fixture(params=["register", "send", "upload"])
def action(request: pytest.FixtureRequest, registration: Message, epoch: Message, checkpoint: Upload) -> Action:
    """Do one of the three things that a client can do."""
    actions: dict[str, Action] = {
        "register": lambda client: client.register(registration),
        "send": lambda client: client.send(epoch),
        "upload": lambda client: client.upload(checkpoint, lambda _: None),
    }
    return actions[request.param]


def failure(action: Action, client: Platform) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        action(client)
    told = "".join(traceback.format_exception(caught.value))
    assert KEY not in told
    assert "s3cret" not in told
    return caught.value


# --- what works


def test_a_registration_returns_the_ids(client: Platform, registration: Message) -> None:
    receipt = client.register(registration)
    assert receipt.ids is not None
    assert MODEL_ID in receipt.ids
    assert receipt.signals == ()


def test_data_arrives_as_it_was_journaled(client: Platform, server: ScriptedServer, epoch: Message, kind: Kind) -> None:
    odd = replace(epoch, data_json='{"epoch":1,"metrics":{"æ ☃":1e-7,"n":null},"text":"\\ud83d\\ude80 \\ud800"}')
    client.send(odd)
    [request] = server.requests
    assert json.loads(odd.data_json) == kind.data_of(request)


def test_what_utf8_cannot_carry_arrives_too(
    client: Platform, server: ScriptedServer, epoch: Message, kind: Kind
) -> None:
    client.send(replace(epoch, data_json='{"path": "\udc80"}'))
    assert kind.data_of(server.requests[0]) == {"path": "\udc80"}


def test_large_data_arrives_whole(client: Platform, server: ScriptedServer, epoch: Message, kind: Kind) -> None:
    client.send(replace(epoch, data_json=json.dumps({"content": "x" * 3_000_000})))
    assert len(kind.data_of(server.requests[0])["content"]) == 3_000_000


def test_a_file_arrives_whole(client: Platform, server: ScriptedServer, checkpoint: Upload, kind: Kind) -> None:
    heard: list[int] = []
    client.upload(checkpoint, heard.append)
    [request] = [each for each in server.requests if kind.file_of(each) is not None]
    assert kind.file_of(request) == checkpoint.content.read_bytes()
    assert request.headers["content-length"] == str(len(request.body))
    assert "cookie" not in request.headers
    assert heard[-1] == checkpoint.size


def test_receipts_hold_no_secret(client: Platform, checkpoint: Upload) -> None:
    receipt = client.upload(checkpoint, lambda _: None)
    assert "s3cret" not in repr(receipt)


def test_every_attempt_has_the_same_key(client: Platform, server: ScriptedServer, epoch: Message) -> None:
    client.send(epoch)
    client.send(replace(epoch, attempt=2))
    assert [each.headers["idempotency-key"] for each in server.requests] == [epoch.chunk_id] * 2
    assert server.requests[0].body == server.requests[1].body


def test_connections_are_kept_and_shared_by_threads(client: Platform, server: ScriptedServer, epoch: Message) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: client.send(epoch), range(100)))
    assert len(server.requests) == 100
    assert len({each.connection for each in server.requests}) <= 4


def test_a_kept_connection_that_the_server_closed_does_no_harm(
    connect: Callable[[str], Platform], epoch: Message, kind: Kind
) -> None:
    port = free_port()
    with scripted_server(kind.answers, port=port) as first:
        client = connect(first.url)
        client.send(epoch)
    with scripted_server(kind.answers, port=port):
        client.send(epoch)


# --- what does not


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422])
def test_what_the_platform_will_never_take_is_refused(
    client: Platform, server: ScriptedServer, action: Action, status: int
) -> None:
    server.script = lambda _: Reply(status, {"error": "no"})
    error = failure(action, client)
    assert isinstance(error, Refused)
    assert error.status == status


@pytest.mark.parametrize("status", [400, 403, 404, 405, 413])
def test_what_is_refused_by_somebody_in_between_may_work_later(
    client: Platform, server: ScriptedServer, action: Action, status: int
) -> None:
    server.script = lambda _: Reply(status, b"<html><title>Not here</title></html>")
    error = failure(action, client)
    assert type(error) is Foreign
    assert "Not here" in str(error)


def test_a_refused_key_is_nobodys_fault(client: Platform, server: ScriptedServer, action: Action) -> None:
    server.script = lambda _: Reply(401, {"error": f"bad key {KEY}"})
    assert isinstance(failure(action, client), CredentialsRefused)


def test_what_the_key_may_not_do_is_about_this_alone(client: Platform, server: ScriptedServer, action: Action) -> None:
    server.script = lambda _: Reply(403, {"error": "no access to demo"})
    error = failure(action, client)
    assert isinstance(error, Forbidden)
    assert "no access to demo" in str(error)


def test_an_error_under_a_success_is_told_in_the_servers_words(
    client: Platform, server: ScriptedServer, action: Action
) -> None:
    server.script = lambda _: Reply(200, {"success": False, "error": "the quota of demo is exceeded"})
    assert "the quota of demo is exceeded" in str(failure(action, client))


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_may_work_later_is_transient(
    client: Platform, server: ScriptedServer, action: Action, status: int
) -> None:
    server.script = lambda _: Reply(status, b"", {"Retry-After": "7"})
    error = failure(action, client)
    assert isinstance(error, Transient)
    assert (error.status, error.retry_after) == (status, 7)


@pytest.mark.parametrize("body", [b"<html>Please sign in</html>", b"", b"[]", {"ok": True}])
def test_a_success_that_is_not_the_platforms_is_no_success(
    client: Platform, server: ScriptedServer, action: Action, body: object
) -> None:
    server.script = lambda _: Reply(200, body)
    assert isinstance(failure(action, client), Transient)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(client: Platform, server: ScriptedServer, action: Action, status: int) -> None:
    with scripted_server() as other:
        server.script = lambda _: Reply(status, b"", {"Location": f"{other.url}/login?token=s3cret"})
        assert isinstance(failure(action, client), Transient)
        assert other.requests == []


def test_a_host_that_refuses_connections_is_unreachable(connect: Callable[[str], Platform], action: Action) -> None:
    error = failure(action, connect(f"http://127.0.0.1:{free_port()}"))
    assert isinstance(error, Unreachable)
    assert "Connection refused" in str(error)


def test_a_name_that_does_not_exist_is_unreachable(connect: Callable[[str], Platform], action: Action) -> None:
    assert isinstance(failure(action, connect("http://nowhere.invalid")), Unreachable)


def test_a_server_that_does_not_speak_tls_is_unreachable(
    connect: Callable[[str], Platform], server: ScriptedServer, action: Action
) -> None:
    error = failure(action, connect(server.url.replace("http:", "https:")))
    assert isinstance(error, Unreachable)
    assert server.requests == []


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(reset=True), id="reset"),
        pytest.param(Reply(cut=0), id="no body"),
        pytest.param(Reply(cut=5), id="half a body"),
        pytest.param(Reply(cut=5, headers={"Transfer-Encoding": "chunked"}), id="bad chunk"),
        pytest.param(Reply(headers={"Content-Encoding": "gzip"}), id="not gzip"),
    ],
)
def test_a_lost_answer_is_an_unknown_outcome(
    client: Platform, server: ScriptedServer, action: Action, reply: Reply
) -> None:
    server.script = lambda _: reply
    assert isinstance(failure(action, client), UnknownOutcome)


def test_silence_is_an_unknown_outcome(
    connect: Callable[[str, float], Platform], server: ScriptedServer, action: Action, kind: Kind
) -> None:
    given_up = threading.Event()

    def silent(request: Request) -> Reply:
        given_up.wait(100)
        return kind.answers(request)

    server.script = silent
    try:
        assert isinstance(failure(action, connect(server.url, 0.5)), UnknownOutcome)
    finally:
        given_up.set()


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n12\r\n" + b'{"received": true}' + b"\r\n0\r\n"


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param((OK + b"Content-Length: 100000\r\n\r\n", b" ", 0.02), id="a body a byte at a time"),
        pytest.param((OK + b"X: ", b"x", 0.02), id="a head a byte at a time"),
        pytest.param((b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, 0.0), id="100 Continue for ever"),
        pytest.param((b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", 0.02), id="103 Early Hints for ever"),
        pytest.param((CHUNKED, b"X: y\r\n" * 1000, 0.0), id="trailers for ever"),
    ],
)
def test_an_answer_that_never_ends_is_given_up(
    connect: Callable[[str, float], Platform],
    server: ScriptedServer,
    epoch: Message,
    parts: tuple[bytes, bytes, float],
) -> None:
    begins, goes_on, pause = parts
    over = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield begins
        while not over.wait(pause):
            yield goes_on

    server.script = lambda _: Reply(raw=pieces())
    try:
        assert isinstance(failure(lambda client: client.send(epoch), connect(server.url, 0.5)), UnknownOutcome)
    finally:
        over.set()


INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"


def test_interim_answers_before_the_answer_are_passed_over(
    client: Platform, server: ScriptedServer, action: Action, kind: Kind
) -> None:
    others = b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + INTERIM
    server.script = lambda request: replace(kind.answers(request), before=INTERIM + others)
    action(client)
    assert len({request.connection for request in server.requests}) == 1


def test_an_interim_answer_alone_is_none(client: Platform, server: ScriptedServer, epoch: Message, kind: Kind) -> None:
    server.script = lambda _: Reply(raw=[INTERIM])
    assert isinstance(failure(lambda it: it.send(epoch), client), UnknownOutcome)
    server.script = lambda _: Reply(101, b"")  # nobody has asked for another protocol
    assert isinstance(failure(lambda it: it.send(epoch), client), UnknownOutcome)
    server.script = kind.answers
    client.send(epoch)
    *_, second, third = server.requests
    assert second.connection != third.connection  # what the former one still has to say is not taken for the next one's


def test_a_head_out_of_order_shows_no_signature(
    client: Platform,
    server: ScriptedServer,
    checkpoint: Upload,
    kind: Kind,
    caplog: pytest.LogCaptureFixture,
) -> None:
    odd = OK + b"not a header, see /x?signature=s3cret\r\nContent-Length: 2\r\n\r\n{}"
    server.script = lambda request: kind.answers(request) if request.path.endswith("/upload") else Reply(raw=[odd])
    with caplog.at_level(logging.DEBUG), suppress(DeliveryError):
        client.upload(checkpoint, lambda _: None)
    assert "s3cret" not in caplog.text


# --- files


def test_a_damaged_file_never_arrives_whole(
    client: Platform, server: ScriptedServer, checkpoint: Upload, kind: Kind
) -> None:
    content = bytearray(checkpoint.content.read_bytes())
    content[1000] ^= 1
    checkpoint.content.write_bytes(content)
    assert isinstance(failure(lambda it: it.upload(checkpoint, lambda _: None), client), BlobUnusable)
    assert arrived_files(server, kind) == []


def test_a_missing_file_is_told(client: Platform, checkpoint: Upload) -> None:
    checkpoint.content.unlink()
    assert isinstance(failure(lambda it: it.upload(checkpoint, lambda _: None), client), BlobUnusable)


def test_an_upload_ends_when_progress_says_so(
    client: Platform, server: ScriptedServer, checkpoint: Upload, kind: Kind
) -> None:
    class StopError(Exception):
        pass

    def stop(sent: int) -> None:
        if sent > checkpoint.size // 2:
            raise StopError

    with pytest.raises(StopError):
        client.upload(checkpoint, stop)
    assert arrived_files(server, kind) == []


def test_files_are_not_read_into_memory(client: Platform, checkpoint: Upload, tmp_path: Path) -> None:
    largest = 0

    def watch(sent: int) -> None:
        nonlocal largest, last
        largest, last = max(largest, sent - last), sent

    last = 0
    client.upload(checkpoint, watch)
    assert largest <= 64 * 1024


def test_lists_of_models_are_read_one_at_a_time(
    client: Platform, server: ScriptedServer, kind: Kind, registration: Message
) -> None:
    """Each takes many times its bytes in memory."""
    if not kind.reads_lists:
        pytest.skip("it reads none")
    meeting = threading.Barrier(2, timeout=0.5)

    def script(request: Request) -> Reply:
        if request.method == "GET":
            with suppress(threading.BrokenBarrierError):
                meeting.wait()
        return kind.answers(request)

    server.script = script
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(client.register, [replace(registration, attempt=2)] * 2))
    assert meeting.broken, "two were read at once"
