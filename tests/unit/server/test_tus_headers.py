"""tus headers, as its specification writes them."""

from __future__ import annotations

import base64
import hashlib

import pytest

from uploader.server.http_errors import Malformed, WrongMediaType, WrongTusVersion
from uploader.server.tus_headers import (
    Checksum,
    check_media_type,
    check_version,
    checksum,
    http_date,
    metadata,
    sha256_of,
    whole_number,
)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_metadata_are_pairs_whose_values_may_be_missing() -> None:
    header = f"filename {encoded('größe 1.pt')}, sha256 {encoded('ab')},is_confidential"
    assert metadata({"upload-metadata": header}) == {"filename": "größe 1.pt", "sha256": "ab", "is_confidential": ""}
    assert metadata({}) == metadata({"upload-metadata": " "}) == {}


@pytest.mark.parametrize("header", ["a !!!", "a YQ==,a YQ==", ",", "a YQ==,", f"a {encoded('x')}é", "a /w=="])
def test_metadata_of_another_form_are_malformed(header: str) -> None:
    with pytest.raises(Malformed):
        metadata({"upload-metadata": header})


def test_a_sha256_is_one_in_either_case_or_none() -> None:
    assert sha256_of({"sha256": "AB" * 32}) == "ab" * 32
    assert sha256_of({}) is None
    for wrong in ("", "ab" * 31, "xy" * 32, "ab" * 32 + "\n"):
        with pytest.raises(Malformed):
            sha256_of({"sha256": wrong})


@pytest.mark.parametrize("algorithm", ["sha256", "sha1", "md5"])
def test_a_checksum_names_its_algorithm(algorithm: str) -> None:
    digest = hashlib.new(algorithm, b"x").digest()
    header = f"{algorithm} {base64.b64encode(digest).decode()}"
    assert checksum({"upload-checksum": header}) == Checksum(algorithm, digest)
    assert checksum({}) is None


@pytest.mark.parametrize("header", ["", "crc32 AAAA", "SHA1 AAAA", "sha1 !", "sha512 AAAA"])
def test_a_checksum_of_another_form_is_malformed(header: str) -> None:
    with pytest.raises(Malformed):
        checksum({"upload-checksum": header})


@pytest.mark.parametrize("value", ["", "-1", "+1", "1.0", "1e3", "٣", "9" * 19, " 1", "0x1"])
def test_a_number_of_bytes_is_made_of_digits(value: str) -> None:
    with pytest.raises(Malformed, match="Upload-Offset"):
        whole_number({"upload-offset": value}, "Upload-Offset")
    assert whole_number({"upload-offset": "007"}, "Upload-Offset") == 7


def test_other_versions_and_media_types_are_refused() -> None:
    check_version({"tus-resumable": "1.0.0"})
    check_media_type({"content-type": "application/offset+octet-stream"})
    for headers in ({}, {"tus-resumable": "0.2.2"}, {"content-type": "application/octet-stream"}):
        with pytest.raises(WrongTusVersion):
            check_version(headers)
        with pytest.raises(WrongMediaType):
            check_media_type(headers)


def test_times_are_written_as_http_writes_them() -> None:
    assert http_date(784_111_777) == "Sun, 06 Nov 1994 08:49:37 GMT"
