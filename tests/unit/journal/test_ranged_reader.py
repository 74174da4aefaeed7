"""Reading an object by its parts: the right bytes from anywhere, the next part asked for in time, few requests."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable

import pytest

from journal.errors import BlobsUnavailable
from journal.shared_blobs import ranged_reader
from journal.shared_blobs.ranged_reader import RangedReader

CONTENT = bytes(range(256)) * 10
PART = 100


def part(start: int, length: int) -> memoryview:
    return memoryview(CONTENT)[start : start + length]


def reading(fetch: Callable[[int, int], memoryview]) -> RangedReader:
    return RangedReader(fetch, len(CONTENT), PART)


def test_random_reads_and_seeks_give_what_a_file_gives() -> None:
    chance, position = random.Random(4), 0
    reader = reading(part)
    for _ in range(2000):
        if chance.random() < 0.3:
            position = reader.seek(chance.randrange(len(CONTENT) + 50))
        block = reader.read(chance.randrange(1, 300))
        assert block == CONTENT[position : position + len(block)]
        assert block or position >= len(CONTENT)
        position += len(block)
    assert (reader.seek(-1, os.SEEK_END), reader.read(9), reader.read(9)) == (len(CONTENT) - 1, CONTENT[-1:], b"")
    reader.close()


def test_the_next_part_comes_while_one_is_used_and_its_thread_ends_with_the_reading() -> None:
    asked: list[int] = []
    third = threading.Event()

    def fetch(start: int, length: int) -> memoryview:
        asked.append(start)
        if start == 2 * PART:
            third.set()
        return part(start, length)

    reader = reading(fetch)
    reader.read(PART)
    assert asked == [0]  # a file that is only looked at costs one request
    reader.read(1)
    assert third.wait(60)
    reader.close()
    assert not [one for one in threading.enumerate() if one.name.startswith("blob-reader")]


def test_a_store_that_hangs_holds_up_neither_the_end_of_the_reading_nor_of_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ranged_reader, "PATIENCE", 0.01)
    hangs, asked = threading.Event(), threading.Event()

    def fetch(start: int, length: int) -> memoryview:
        if start == 2 * PART:
            asked.set()
            hangs.wait(100)
        return part(start, length)

    reader = reading(fetch)
    reader.read(PART)
    reader.read(PART)
    assert asked.wait(60)
    reader.close()
    [left] = [one for one in threading.enumerate() if one.name.startswith("blob-reader")]
    assert left.daemon
    hangs.set()
    left.join()


def test_a_chunk_that_is_digested_and_then_sent_is_fetched_once() -> None:
    asked: list[int] = []

    def fetch(start: int, length: int) -> memoryview:
        asked.append(start)
        return part(start, length)

    reader = reading(fetch)
    for start in range(0, len(CONTENT), PART - 30):
        for _ in range(2):
            reader.seek(start)
            got = b""
            while len(got) < min(PART - 30, len(CONTENT) - start):
                got += reader.read(PART - 30 - len(got))
            assert got == CONTENT[start : start + PART - 30]
    reader.close()
    assert asked == sorted(set(asked))


def test_what_was_in_the_way_of_the_next_part_is_told_when_it_is_needed_and_tried_anew() -> None:
    away = threading.Event()

    def fetch(start: int, length: int) -> memoryview:
        if start == 2 * PART and not away.is_set():
            away.set()
            raise BlobsUnavailable("away")
        return part(start, length)

    reader = reading(fetch)
    assert reader.read(PART) + reader.read(PART) == CONTENT[: 2 * PART]
    with pytest.raises(BlobsUnavailable, match="away"):
        reader.read(PART)
    assert reader.read(PART) == CONTENT[2 * PART : 3 * PART]
    reader.close()
