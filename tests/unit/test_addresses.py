from __future__ import annotations

import re

import pytest

from uploader.addresses import base_url, is_readable_on_the_way, is_same_place, shown
from uploader.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://Platform.Example.com/", "https://platform.example.com"),
        ("HTTPS://host:443", "https://host"),
        ("http://host:80/", "http://host"),
        ("http://host:443", "http://host:443"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("https://host/Base/Path/", "https://host/Base/Path"),
    ],
)
def test_base_urls_are_stored_in_one_form(text: str, expected: str) -> None:
    assert base_url(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "host",
        "ftp://host",
        "https://",
        "http://host:99999",
        "http://host:0",
        "http://[broken",
        "https://host?key=s3cret",
        "https://me:s3cret@host",
        "https://me:s3cret/@host",
        "https://me:s3cret",
        "me:s3cret@host",
        "host#s3cret",
        "ULTRALYTICS_API_KEY=s3cret",
        "https://host s3cret",
        "ul_0123456789s3cret0123456789",
        "https://@host",
        "https://evil.example\\@host",
        "https://ho\nst",
        "https://host/a b",
    ],
)
def test_unusable_base_urls_are_refused_without_what_may_be_secret(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        base_url(text)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("foo", "'foo'"),
        ("localhost:8765/api", "'localhost:8765/api'"),
        ("ftp://host.example", "'ftp://host.example'"),
        ("http://host:99999", "'http://host:99999'"),
        ("https://me:s3cret@host", "'https://***@host'"),
        ("https://host/api?key=s3cret", "'https://host/api?***'"),
    ],
)
def test_what_is_wrong_with_a_base_url_can_be_seen(text: str, shown: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(shown)):
        base_url(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("https://host/of/a-path-of-more-than-twenty-letters", "https://host/of/a-path-of-more-than-twenty-letters"),
        ("https://me:s3cret@host/api", "https://***@host/api"),
        ("https://host?key=s3cret", "https://host?***"),
        ("me:s3cret", "me:***"),
        ("", ""),
    ],
)
def test_an_address_is_shown_without_what_may_be_a_secret(text: str, told: str) -> None:
    assert shown(text) == told


@pytest.mark.parametrize(
    ("url", "other", "same"),
    [
        ("https://host", "HTTPS://HOST:443/", True),
        ("https://host/api", "https://host/api/", True),
        ("https://host", "http://host", False),
        ("https://host", "https://host:8443", False),
        ("https://host", "https://host/api", False),
        ("https://host", "https://host.evil.example", False),
        ("https://host@evil.example", "https://host", False),
        ("https://evil.example\\@host", "https://host", False),
    ],
)
def test_places_are_compared_whole(url: str, other: str, same: bool) -> None:
    assert is_same_place(url, other) is same


@pytest.mark.parametrize(
    ("url", "readable"),
    [
        ("https://host", False),
        ("http://host", True),
        ("http://10.0.0.7:8765", True),
        ("http://127.0.0.1:8765", False),
        ("http://[::1]:8765", False),
        ("http://localhost:8765", False),
    ],
)
def test_who_can_read_on_the_way(url: str, readable: bool) -> None:
    assert is_readable_on_the_way(url) is readable
