"""A signature allows one method on one path, for a limited time."""

from __future__ import annotations

import hmac
from urllib.parse import parse_qs, urlsplit

import pytest

from uploader.server.http_errors import Forbidden
from uploader.server.signing import Signer

SIGNER = Signer(b"secret", lifetime=60)
NOW = 1_800_000_000.0


def signed(method: str, path: str, signer: Signer = SIGNER) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(signer.url("", method, path, NOW)).query).items()}


def test_a_signature_fits_its_method_path_and_time() -> None:
    SIGNER.check("PUT", "/a", **signed("PUT", "/a"), now=NOW + 60)
    SIGNER.check("HEAD", "/a", **signed("GET", "/a"), now=NOW)  # who may read may also ask whether it is there
    end = {"expires": "1800000100", "signature": signed("PUT", "/a")["signature"]}
    for method, path, query, now in [
        ("DELETE", "/a", signed("PUT", "/a"), NOW),
        ("PUT", "/b", signed("PUT", "/a"), NOW),
        ("PUT", "/a", signed("PUT", "/a"), NOW + 61),
        ("PUT", "/a", end, NOW),
        ("PUT", "/a", signed("PUT", "/a", Signer(b"another", 60)), NOW),
        ("PUT", "/a", {"expires": "", "signature": ""}, NOW),
    ]:
        with pytest.raises(Forbidden):
            SIGNER.check(method, path, **query, now=now)


def test_signatures_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the function that compares can be checked without measuring time."""
    compared = []
    monkeypatch.setattr(hmac, "compare_digest", lambda *both: bool(compared.append(both)))
    with pytest.raises(Forbidden):
        SIGNER.check("PUT", "/a", **signed("PUT", "/a"), now=NOW)
    [(expected, presented)] = compared
    assert expected == presented


def test_an_expiry_may_be_chosen() -> None:
    query = parse_qs(urlsplit(SIGNER.url_until("", "TUS", "/a", int(NOW) + 1000)).query)
    SIGNER.check("TUS", "/a", query["expires"][0], query["signature"][0], NOW + 1000)


def test_the_secret_is_not_shown() -> None:
    assert "secret" not in repr(SIGNER)
