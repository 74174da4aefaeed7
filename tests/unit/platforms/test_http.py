from __future__ import annotations

import inspect
import io
import ssl
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from typing import Any, cast

import pytest
import requests
import urllib3
from requests.structures import CaseInsensitiveDict
from urllib3 import exceptions as pool_errors

from uploader.errors import (
    CredentialsRefused,
    DeliveryError,
    Forbidden,
    Refused,
    Transient,
    UnknownOutcome,
    Unreachable,
)
from uploader.platforms import answers, api, failures, http


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


@pytest.mark.parametrize("enforced", [True, False])  # urllib3 2 checks the length by itself, 1.26 does not
def test_a_file_that_ends_early_is_none(tmp_path: Path, enforced: bool) -> None:
    announced = {"Content-Length": "8"}
    raw = urllib3.HTTPResponse(
        io.BytesIO(b"half"), announced, preload_content=False, enforce_content_length=enforced, request_method="GET"
    )
    with pytest.raises(failures.TRANSPORT_ERRORS):
        http._save(raw, announced["Content-Length"], tmp_path / "best.pt")
    assert not list(tmp_path.iterdir())


def test_two_downloads_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    target = tmp_path / "best.pt"

    class Slow(io.BytesIO):
        """Before it ends, another process has the same file."""

        def read(self, size: int | None = -1) -> bytes:
            block = super().read(size)
            if not block:
                http._save(cast(Any, io.BytesIO(b"the other's")), None, target)
                assert target.read_bytes() == b"the other's"
            return block

    http._save(cast(Any, Slow(b"ours")), None, target)
    assert target.read_bytes() == b"ours"
    assert list(tmp_path.iterdir()) == [target]


def tls(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}] something")
    error.reason = reason
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
        (requests.exceptions.ProxyError(), Unreachable),
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
    assert type(failure) is Transient
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
    at = datetime.now(timezone.utc) + timedelta(seconds=100)
    in_seconds = answers.refusal(answer(429, Retry_After="17"), "host")
    as_date = answers.refusal(answer(503, Retry_After=format_datetime(at, usegmt=True)), "host")
    assert isinstance(in_seconds, Transient)
    assert in_seconds.retry_after == 17
    assert isinstance(as_date, Transient)
    assert as_date.retry_after is not None
    assert 90 < as_date.retry_after <= 100


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
        api.bearer(key)
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [("https://me:pw@host:1/x?y", "host:1"), ("", "the host"), ("http://[broken", "the host")],
)
def test_hosts_are_named_without_credentials(url: str, expected: str) -> None:
    assert answers.host_of(url) == expected
