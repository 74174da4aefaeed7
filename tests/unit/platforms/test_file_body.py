from __future__ import annotations

import collections
import errno
import hashlib
import io
import os
from pathlib import Path

import pytest

from uploader.errors import BlobUnusable
from uploader.platforms.http.file_body import BlobReader, BlobUnreadable

CONTENT = bytes(range(256)) * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "blob"
    path.write_bytes(CONTENT)
    return path


def test_the_bytes_come_out_whole_and_progress_hears_of_all(file: Path) -> None:
    heard: list[int] = []
    with BlobReader(file, len(CONTENT), DIGEST, heard.append) as reader:
        assert len(reader) == len(CONTENT)
        assert b"".join(reader) == CONTENT
        assert reader.read(10) == b""
    assert heard[-1] == len(CONTENT)
    assert heard == sorted(heard)


def test_damaged_bytes_are_never_handed_out_to_the_end(file: Path) -> None:
    damaged = bytearray(CONTENT)
    damaged[5] ^= 1
    file.write_bytes(damaged)
    heard: list[int] = []
    reader = BlobReader(file, len(CONTENT), DIGEST, heard.append)
    with reader, pytest.raises(BlobUnusable, match="damaged"):
        collections.deque(reader)
    assert 0 < heard[-1] < len(CONTENT)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(BlobUnusable, match="No such file"):
        BlobReader(tmp_path / "gone", 1, DIGEST, lambda _: None)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.EACCES, errno.EIO, errno.ENOMEM])
def test_a_file_that_cannot_be_opened_now_is_not_given_up(
    file: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(BlobUnreadable, match=os.strerror(number)):
        BlobReader(file, len(CONTENT), DIGEST, lambda _: None)


def test_a_file_that_cannot_be_read_now_is_not_given_up(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(io.BytesIO):
        def read(self, *_: object) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "open", lambda *_: Failing(CONTENT))
    with BlobReader(file, len(CONTENT), DIGEST, lambda _: None) as reader, pytest.raises(BlobUnreadable, match="Input"):
        reader.read(10)


def test_a_file_of_another_size_is_told_before_any_byte(file: Path) -> None:
    with pytest.raises(BlobUnusable, match="256000 bytes instead of 7"):
        BlobReader(file, 7, DIGEST, lambda _: None)


def test_a_file_that_shrinks_while_it_is_read_is_told(file: Path) -> None:
    with BlobReader(file, len(CONTENT), DIGEST, lambda _: None) as reader:
        reader.read(10)
        file.write_bytes(b"")
        with pytest.raises(BlobUnusable, match="shorter"):
            collections.deque(reader)


def test_reading_goes_on_from_anywhere(file: Path) -> None:
    with BlobReader(file, len(CONTENT), DIGEST, lambda _: None) as reader:
        for offset in (100_000, 200_000, 150_000, 0, 255_999):
            reader.seek(offset)
            assert reader.read(7) == CONTENT[offset : offset + 7]
        reader.seek(70_000)
        assert b"".join(reader) == CONTENT[70_000:]


def test_skipped_bytes_are_looked_at_too(file: Path) -> None:
    damaged = bytearray(CONTENT)
    damaged[5] ^= 1
    file.write_bytes(damaged)
    with BlobReader(file, len(CONTENT), DIGEST, lambda _: None) as reader:
        reader.seek(len(CONTENT) - 1)
        with pytest.raises(BlobUnusable, match="damaged"):
            reader.read(1)


def test_going_on_reads_no_more_than_from_where_it_went_on_before(file: Path) -> None:
    """Else each interruption of a large file would read all of it again."""
    heard: list[int] = []
    with BlobReader(file, len(CONTENT), DIGEST, heard.append) as reader:
        reader.seek(200_000)
        reader.read(1000)
        heard.clear()
        reader.seek(201_000)
        assert heard == []
        reader.read(1000)
        heard.clear()
        reader.seek(201_500)
        assert heard == [201_500]
