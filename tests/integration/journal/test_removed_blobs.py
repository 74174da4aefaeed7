"""Bytes that are not needed leave the store at once, and the disk when no event could wait for it."""

from __future__ import annotations

import time

import pytest
from support.journals import Bench

from journal.checkpoints.blobs import file_stamp
from journal.errors import BlobMissing


def names(at: Bench) -> list[str]:
    return sorted(path.name for path in at.journal.blobs.folder.iterdir())


def test_a_replaced_checkpoint_leaves_the_disk(at: Bench) -> None:
    at.checkpoint(b"one")
    two = at.checkpoint(b"two")
    assert names(at) == [two]


def test_the_same_bytes_under_two_roles_are_one_file(at: Bench) -> None:
    sha256 = at.checkpoint(b"same", "last")
    assert at.checkpoint(b"same", "best") == sha256
    assert names(at) == [sha256]


def test_a_removed_blob_is_missing_before_its_space_is_free(at: Bench) -> None:
    sha256 = at.checkpoint(b"bytes")
    at.journal.blobs.remove(sha256)
    with pytest.raises(BlobMissing):
        at.journal.blobs.path(sha256)
    assert names(at) == [f".removed-{sha256}"]
    at.journal.blobs.clear()
    assert names(at) == []


def test_a_blob_that_is_gone_can_be_removed(at: Bench) -> None:
    at.journal.blobs.remove("0" * 64)
    at.journal.blobs.clear()
    assert names(at) == []


def test_removed_bytes_can_be_stored_again_at_once(at: Bench) -> None:
    sha256 = at.checkpoint(b"bytes")
    at.journal.blobs.remove(sha256)
    assert at.checkpoint(b"bytes") == sha256
    assert at.journal.blobs.path(sha256).read_bytes() == b"bytes"


def test_what_a_killed_process_had_removed_is_swept(at: Bench) -> None:
    at.journal.blobs.remove(at.checkpoint(b"bytes"))
    at.journal.blobs.sweep(time.time())
    assert names(at) == []


def test_a_copy_that_was_not_needed_is_left_to_the_caller(at: Bench) -> None:
    sha256 = at.checkpoint(b"same")
    source = at.journal.path.parent / "last.pt"
    again = at.journal.blobs.snapshot(source, file_stamp(source), wait=lambda _: None)
    at.journal.blobs.publish(again)
    assert names(at) == sorted([again.path.name, sha256])
    at.journal.blobs.discard(again)
    assert names(at) == [sha256]
