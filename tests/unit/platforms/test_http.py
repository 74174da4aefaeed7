from __future__ import annotations

import gzip
import inspect
import io
import re
import ssl
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path

import pytest
import requests
import urllib3
from requests.structures import CaseInsensitiveDict
from support.scripted_server import Reply, scripted_server
from urllib3 import exceptions as pool_errors

from uploader.errors import (
    CredentialsRefused,
    DeliveryError,
    FileGone,
    Forbidden,
    Foreign,
    Refused,
    Transient,
    UnknownOutcome,
    Unreachable,
)
from uploader.platforms import answers, failures
from uploader.platforms.http import json_api, proxies, reading
from uploader.platforms.http.transport import Transport


def errors_of(module: object) -> list[type[Exception]]:
    return [
        each
        for _, each in inspect.getmembers(module, inspect.isclass)
        if issubclass(each, Exception) and not issubclass(each, Warning)
    ]


ALL_ERRORS = [*errors_of(requests.exceptions), *errors_of(pool_errors), OSError, TimeoutError, ConnectionResetError]


@pytest.mark.parametrize("kind", ALL_ERRORS, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_no_error_of_the_transport_is_missed(kind: type[Exception]) -> None:
    error = kind.__new__(kind)
    assert isinstance(error, failures.TRANSPORT_ERRORS)
    assert isinstance(failures.classify(error, "host"), DeliveryError)


def response(body: io.BytesIO, *, enforced: bool = True, **headers: str) -> urllib3.HTTPResponse:
    """Return an answer that the library is about to read; before urllib3 2 it does not insist on the length."""
    announced = {name.replace("_", "-"): value for name, value in headers.items()}
    return urllib3.HTTPResponse(
        body, announced, 200, preload_content=False, enforce_content_length=enforced, request_method="GET"
    )


@pytest.mark.parametrize("enforced", [True, False])
def test_a_file_that_ends_early_is_none(tmp_path: Path, enforced: bool) -> None:
    with pytest.raises(failures.TRANSPORT_ERRORS):
        reading.save(response(io.BytesIO(b"half"), enforced=enforced, Content_Length="8"), tmp_path / "best.pt")
    assert not list(tmp_path.iterdir())


def test_two_downloads_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    target = tmp_path / "best.pt"

    class Slow(io.BytesIO):
        """Before it ends, another process has the same file."""

        def read(self, size: int | None = -1) -> bytes:
            block = super().read(size)
            if not block:
                reading.save(response(io.BytesIO(b"the other's")), target)
                assert target.read_bytes() == b"the other's"
            return block

    reading.save(response(Slow(b"ours")), target)
    assert target.read_bytes() == b"ours"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("enforced", [True, False])
def test_an_answer_that_ends_early_is_none(enforced: bool) -> None:
    half = response(io.BytesIO(b'{"received": true}'), enforced=enforced, Content_Length="40")
    with pytest.raises(failures.TRANSPORT_ERRORS):
        reading.read(half, 1000)


@pytest.mark.parametrize(("size", "whole"), [(99, True), (100, True), (101, False), (200_000, False)])
def test_no_more_is_read_than_was_wished_for(size: int, whole: bool) -> None:
    body, is_whole = reading.read(response(io.BytesIO(b"x" * size), Content_Length=str(size)), 100)
    assert (body, is_whole) == (b"x" * min(size, 100), whole)


@pytest.mark.parametrize(("pack", "encoding"), [(gzip.compress, "gzip"), (zlib.compress, "deflate")])
def test_a_packed_answer_is_unpacked_up_to_the_same_size(pack: Callable[[bytes], bytes], encoding: str) -> None:
    told = b'{"received": true}'
    assert reading.read(response(io.BytesIO(pack(told)), Content_Encoding=encoding), 100) == (told, True)
    bomb = response(io.BytesIO(pack(bytes(10_000_000))), Content_Encoding=encoding)
    tracemalloc.start()
    try:
        assert reading.read(bomb, 20_000) == (bytes(20_000), False)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "body", [gzip.compress(b'{"received": true}')[:-9], b'{"received": true}'], ids=["cut", "plain"]
)
def test_what_cannot_be_unpacked_is_no_answer(body: bytes) -> None:
    with pytest.raises(failures.TRANSPORT_ERRORS):
        reading.read(response(io.BytesIO(body), Content_Encoding="gzip"), 1000)


def tls(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}] something")
    error.reason = reason
    return error


def tunnel(status: int) -> OSError:
    return OSError(f"Tunnel connection failed: {status} No")


def distrust(code: int, why: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, f"certificate verify failed: {why}")
    error.verify_code, error.verify_message = code, why
    return error


POOL = urllib3.HTTPConnectionPool("host")
URL = "/storage?signature=s3cret"
REFUSED = pool_errors.MaxRetryError(POOL, URL, pool_errors.NewConnectionError(POOL, "refused"))
ABORTED = pool_errors.ProtocolError("aborted", ConnectionResetError(104, "Connection reset by peer"))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (requests.ConnectionError(REFUSED), Unreachable),
        (requests.ConnectTimeout(), Unreachable),
        (requests.exceptions.SSLError(pool_errors.SSLError(ssl.SSLCertVerificationError())), Unreachable),
        (requests.exceptions.SSLError(pool_errors.SSLError(tls("WRONG_VERSION_NUMBER"))), Unreachable),
        (
            requests.exceptions.SSLError(pool_errors.SSLError(tls("DECRYPTION_FAILED_OR_BAD_RECORD_MAC"))),
            UnknownOutcome,
        ),
        (requests.exceptions.SSLError(pool_errors.SSLError(ssl.SSLEOFError(8, "EOF"))), UnknownOutcome),
        (requests.exceptions.ProxyError(pool_errors.ProxyError("no", REFUSED.reason)), Unreachable),
        (requests.exceptions.ProxyError(pool_errors.ProxyError("no", tunnel(407))), Unreachable),
        (
            requests.exceptions.ProxyError(pool_errors.ProxyError("no", ConnectionResetError(104, "reset"))),
            UnknownOutcome,
        ),
        (requests.exceptions.ProxyError(), UnknownOutcome),
        (requests.ReadTimeout(), UnknownOutcome),
        (requests.ConnectionError(ABORTED), UnknownOutcome),
        (pool_errors.IncompleteRead(1, 2), UnknownOutcome),
        (requests.exceptions.MissingSchema(), Transient),
    ],
)
def test_what_was_never_sent_is_told_from_what_may_have_arrived(
    error: Exception, expected: type[DeliveryError]
) -> None:
    failure = failures.classify(error, "host")
    assert type(failure) is expected
    assert "host" in str(failure)
    assert "s3cret" not in str(failure)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (distrust(9, "certificate is not yet valid"), "not valid yet.*date and time of this machine"),
        (distrust(10, "certificate has expired"), "has expired.*date and time of this machine"),
        (distrust(20, "unable to get local issuer certificate"), "local issuer.*REQUESTS_CA_BUNDLE"),
        (tunnel(407), "the proxy here:3128 .*407.*login.*HTTPS_PROXY"),
        (tunnel(403), "the proxy here:3128 .*403.*platform must be named in NO_PROXY"),
        (requests.ConnectionError(REFUSED), "the proxy here:3128, which leads to platform:1, cannot be reached"),
        (requests.ConnectionError(ABORTED), "through the proxy here:3128, broke"),
    ],
)
def test_what_is_in_the_way_is_named_with_the_next_step(error: Exception, words: str) -> None:
    assert re.search(words, str(failures.classify(error, "platform:1", "here:3128")))


@pytest.mark.parametrize(
    ("proxy", "fault"),
    [
        ("here:3128", None),
        ("http://me:s3cret@here:3128/", None),
        ("https://here", None),
        ("socks5h://here:1080", None),
        ("htp://me:s3cret@here:3128", "must begin with one of http://"),
        ("socks://here:1080", "must begin with one of http://"),
        ("http:/here:3128", "must look like http://host:port"),
        ("http//me:s3cret@here:3128", "must look like http://host:port"),
        ("http://here:port", "malformed"),
        ("http://here:99999", "malformed"),
    ],
)
def test_a_mistyped_proxy_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, proxy: str, fault: str | None
) -> None:
    monkeypatch.setattr(proxies, "find_spec", lambda _: "PySocks")
    proxies._fault.cache_clear()
    if fault is None:
        assert str(proxies.proxy_to("https://platform/x", {"https": proxy})).startswith("here")
        return
    with pytest.raises(Unreachable, match=rf"the proxy for platform .*{fault}.*HTTPS_PROXY.*NO_PROXY") as caught:
        proxies.proxy_to("https://platform/x", {"https": proxy})
    assert "s3cret" not in str(caught.value)


def test_what_a_socks_proxy_needs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxies, "find_spec", lambda _: None)
    proxies._fault.cache_clear()
    with pytest.raises(Unreachable, match="pip install pysocks"):
        proxies.proxy_to("https://platform/x", {"all": "socks5://here:1080"})


def answer(status: int, body: bytes = b"", **headers: str) -> answers.Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return answers.Answer(status, CaseInsensitiveDict(named), body)


@pytest.mark.parametrize(
    ("expected", "statuses"),
    [
        (CredentialsRefused, [401]),
        (Forbidden, [403]),
        (Transient, [301, 302, 307, 308, 407, 408, 421, 423, 425, 429, 500, 502, 503, 504, 507, 511, 599]),
        (Refused, [400, 402, 404, 405, 406, 409, 410, 411, 413, 415, 422, 431, 451]),
    ],
)
def test_statuses(expected: type[DeliveryError], statuses: list[int]) -> None:
    for status in statuses:
        failure = answers.refusal(answer(status, b'{"error": "no"}'), "host")
        assert type(failure) is expected, status
        assert str(status) in str(failure)


@pytest.mark.parametrize(
    "body", [b"", b"<html><title>404 Not Found</title></html>", b"404 page not found", b"[]", b"1"]
)
@pytest.mark.parametrize("status", [400, 403, 404, 405, 413, 451])
def test_a_refusal_that_is_not_the_platforms_is_no_verdict(status: int, body: bytes) -> None:
    failure = answers.refusal(answer(status, body), "host")
    assert type(failure) is Foreign
    assert "a proxy" in str(failure)


@pytest.mark.parametrize("body", [b"", b"<html>Unauthorized</html>"])
def test_a_key_is_refused_in_whatever_words(body: bytes) -> None:
    assert type(answers.refusal(answer(401, body), "host")) is CredentialsRefused


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error": "quota exceeded"}', "quota exceeded"),
        (b'{"error": {"code": 7, "message": "quota exceeded"}}', "quota exceeded"),
        (b'{"errors": [{"message": "quota exceeded"}]}', "quota exceeded"),
        (b"<?xml?><Error><Code>AccessDenied</Code><Message>no rights</Message></Error>", "AccessDenied: no rights"),
        (b"<html><head><TITLE lang=en>404 Not Found</TITLE></head></html>", "404 Not Found"),
        (b"error code: 1020\n", "error code: 1020"),
        (b"<Error>/x?signature=s3cret</Error>", ""),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"<title" * 1000, ""),
    ],
)
def test_what_an_answer_says_is_found(body: bytes, words: str) -> None:
    assert answers.detail(answer(400, body)) == (f": {words}" if words else "")


def test_retry_after_is_understood_in_both_forms() -> None:
    begun = datetime.now(timezone.utc)
    at = (begun + timedelta(seconds=1000)).replace(microsecond=0)  # which a date has none of
    in_seconds = answers.refusal(answer(429, Retry_After="17"), "host")
    as_date = answers.refusal(answer(503, Retry_After=format_datetime(at, usegmt=True)), "host")
    ended = datetime.now(timezone.utc)
    assert isinstance(in_seconds, Transient)
    assert in_seconds.retry_after == 17
    assert isinstance(as_date, Transient)
    assert as_date.retry_after is not None
    assert (at - ended).total_seconds() <= as_date.retry_after <= (at - begun).total_seconds()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("soon", None),
        ("-3", None),
        ("99999999", 3600.0),
        ("9" * 5000, None),
        ("Fri, 01 Jan 99999 00:00:00 GMT", None),
        (f"Fri, 01 Jan {'9' * 30} 00:00:00 GMT", None),
    ],
    ids=lambda value: str(value)[:30],
)
def test_strange_retry_after_is_ignored_or_bounded(value: str, expected: float | None) -> None:
    failure = answers.refusal(answer(503, Retry_After=value), "host")
    assert isinstance(failure, Transient)
    assert failure.retry_after == expected


def test_the_servers_words_are_shown_short_and_without_signatures() -> None:
    words = "no such thing at https://storage/x?signature=s3cret " + "very " * 100
    failure = answers.refusal(answer(422, f'{{"error": "{words}"}}'.encode()), "host")
    assert "host answered 422: no such thing at https://storage/x?…" in str(failure)
    assert len(str(failure)) < 250
    assert "s3cret" not in str(failure)


def test_a_redirect_names_the_other_host_only() -> None:
    failure = answers.refusal(answer(302, Location="https://other:8443/login?token=s3cret"), "host")
    assert "other:8443" in str(failure)
    assert "s3cret" not in str(failure)


@pytest.mark.parametrize("body", [b"", b"<html>Sign in</html>", b"[1]", b'"yes"', b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_success_that_is_no_json_object_is_not_the_platforms(body: bytes) -> None:
    with pytest.raises(Transient, match="sign-in page"):
        answers.success(answer(200, body), "host")


def test_a_success_returns_its_object() -> None:
    assert answers.success(answer(201, b'{"received": true}'), "host") == {"received": True}


@pytest.mark.parametrize("key", ["ul_\n", "ul_ключ", "ul_“quoted”"])
def test_what_cannot_be_a_key_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(CredentialsRefused) as caught:
        json_api.bearer(key)
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [("https://me:pw@host:1/x?y", "host:1"), ("", "the host"), ("http://[broken", "the host")],
)
def test_hosts_are_named_without_credentials(url: str, expected: str) -> None:
    assert answers.host_of(url) == expected


@pytest.mark.parametrize("body", [b"", b"<html><title>Not Found</title></html>", {"error": "no such key"}])
def test_of_a_file_that_is_gone_no_proxy_is_spoken(body: object) -> None:
    said = "answered 404: the file is not there, though the platform names it$"
    with (
        scripted_server(lambda _: Reply(404, body)) as server,
        closing(Transport()) as transport,
        pytest.raises(FileGone, match=said),
    ):
        transport.stream(f"{server.url}/best.pt", lambda _: None)
