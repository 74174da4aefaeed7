"""What is sent next, and when an attempt ends, against servers that cut, forget and lie."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uploader.errors import BlobUnusable, Transient, UnknownOutcome
from uploader.platforms.base import RunIdentity, Upload
from uploader.platforms.http.file_body import Chunk
from uploader.platforms.uploads.resumable import (
    CUTS,
    FRUITLESS,
    INTERRUPTIONS,
    LEAST_CHUNK,
    MOST_CHUNK,
    LocationLost,
    LocationRefused,
    OutOfStep,
    chunk_size,
    goes_on,
    transfer,
)

SIZE = 8 * LEAST_CHUNK + 5
CONTENT = random.Random(3).randbytes(SIZE)


@pytest.fixture(scope="module")
def upload(tmp_path_factory: pytest.TempPathFactory) -> Upload:
    path = tmp_path_factory.mktemp("file") / "blob"
    path.write_bytes(CONTENT)
    return Upload("c", path, SIZE, hashlib.sha256(CONTENT).hexdigest(), "best.pt", RunIdentity("u", "p", "n"))


def cut() -> UnknownOutcome:
    return UnknownOutcome("cut")


@dataclass
class Server:
    """Keeps what it is sent; each request first takes a fault, if one is left.

    Attributes:
        faults: A number is how many bytes of the chunk are kept before the connection breaks; None is no fault.
        data: What it has.
        sent: Bytes that went out to it.
        asked: How often it was asked for its offset.
        answer: What it says of the offset that it has.
    """

    faults: Iterator[int | None] = field(default_factory=lambda: iter(()))
    data: bytearray = field(default_factory=bytearray)
    sent: int = 0
    asked: int = 0
    answer: Callable[[int], int] = lambda offset: offset

    def offset(self) -> int:
        self.asked += 1
        return self.answer(len(self.data))

    def send(self, offset: int, chunk: Chunk) -> int:
        body = b"".join(chunk)
        self.sent += len(body)
        if offset != len(self.data):
            raise OutOfStep("409")
        kept = next(self.faults, None)
        self.data += body[:kept]
        if kept is not None:
            raise cut()
        return self.answer(len(self.data))

    def abandon(self) -> None:
        self.data.clear()


# --- pure decisions


@pytest.mark.parametrize(
    ("size", "fruitless", "expected"),
    [
        (1, 0, LEAST_CHUNK),
        (64 << 20, 0, LEAST_CHUNK),
        (200 << 20, 0, 3 * LEAST_CHUNK),
        (1 << 30, 0, 4 << 20),
        (1 << 40, 0, MOST_CHUNK),
        (1 << 40, 1, MOST_CHUNK // 2),
        (1 << 40, FRUITLESS - 1, LEAST_CHUNK),
    ],
)
def test_a_chunk_is_a_small_part_of_the_file(size: int, fruitless: int, expected: int) -> None:
    assert chunk_size(size, fruitless) == expected


@given(st.integers(50_000_000, 1 << 42), st.integers(0, FRUITLESS))
def test_twenty_chunks_are_a_tenth_of_a_file_at_most(size: int, fruitless: int) -> None:
    chunk = chunk_size(size, fruitless)
    assert chunk % LEAST_CHUNK == 0
    assert LEAST_CHUNK <= chunk <= MOST_CHUNK
    assert 20 * chunk <= 0.11 * size


def test_an_attempt_ends_after_so_many_failures() -> None:
    assert goes_on(FRUITLESS - 1, INTERRUPTIONS - 1)
    assert not goes_on(FRUITLESS, FRUITLESS)
    assert not goes_on(1, INTERRUPTIONS)


# --- transfers


def test_a_new_upload_is_not_asked_for_its_offset(upload: Upload) -> None:
    server, heard = Server(), list[int]()
    transfer(upload, server, heard.append, offset=0)
    assert bytes(server.data) == CONTENT
    assert (server.asked, server.sent) == (0, SIZE)
    assert heard == sorted(heard)
    assert heard[-1] == SIZE


def test_an_upload_goes_on_where_the_server_says(upload: Upload) -> None:
    server = Server(data=bytearray(CONTENT[:300_001]))
    transfer(upload, server, lambda _: None)
    assert bytes(server.data) == CONTENT
    assert (server.asked, server.sent) == (1, SIZE - 300_001)


def test_a_complete_upload_is_sent_nothing(upload: Upload) -> None:
    server = Server(data=bytearray(CONTENT))
    transfer(upload, server, lambda _: None)
    assert server.sent == 0


@settings(max_examples=40)
@given(faults=st.lists(st.none() | st.integers(0, LEAST_CHUNK), max_size=30))
def test_whatever_is_cut_a_cut_costs_a_chunk_at_most(upload: Upload, faults: list[int | None]) -> None:
    server = Server(faults=iter(faults))
    attempts = 1
    while not finished(upload, server):
        attempts += 1
    assert bytes(server.data) == CONTENT
    assert server.sent <= SIZE + sum(fault is not None for fault in faults) * LEAST_CHUNK
    assert attempts <= 1 + len(faults) // FRUITLESS


def finished(upload: Upload, server: Server) -> bool:
    """Make one attempt. What progress hears of is there."""

    def hear(confirmed: int) -> None:
        assert confirmed <= len(server.data)

    try:
        transfer(upload, server, hear)
    except UnknownOutcome:
        return False
    return True


def test_a_link_that_never_lasts_for_a_chunk_gets_smaller_ones(upload: Upload, tmp_path: Path) -> None:
    file_of_all = tmp_path / "large"
    large = replace(upload, content=file_of_all, size=512 << 20)
    with file_of_all.open("wb") as file:
        file.truncate(large.size)
    sizes: list[int] = []

    class Broken(Server):
        def send(self, offset: int, chunk: Chunk) -> int:
            sizes.append(len(chunk))
            raise cut()

    with pytest.raises(UnknownOutcome):
        transfer(large, Broken(), lambda _: None, offset=0)
    assert sizes == [2 << 20, 1 << 20, 512 << 10] + [LEAST_CHUNK] * 3


@dataclass
class Link:
    """A link to a server that keeps no part of a chunk that broke; it counts bytes and keeps none.

    Attributes:
        rate: Bytes a second, beside 0.05 s for each round trip.
        most: Chunks above this are refused with 413, as by a proxy.
        cut: Returns whether a chunk breaks when it has gone out, given how many were sent.
    """

    rate: float = 50e6
    most: int = 1 << 40
    cut: Callable[[int], bool] = lambda number: False
    now: float = 0.0
    there: int = 0
    sizes: list[int] = field(default_factory=list)

    def offset(self) -> int:
        self.now += 0.05
        return self.there

    def send(self, offset: int, chunk: Chunk) -> int:
        self.sizes.append(sum(map(len, chunk)))
        self.now += 0.05 + self.sizes[-1] / self.rate
        if self.sizes[-1] > self.most:
            raise LocationRefused("413", status=413)
        if self.cut(len(self.sizes)):
            raise cut()
        self.there = offset + self.sizes[-1]
        return self.there

    def abandon(self) -> None:
        self.there = 0

    def take(self, upload: Upload) -> Link:
        """Take an upload, and return itself."""
        transfer(upload, self, lambda _: None, offset=0, clock=lambda: self.now)
        assert self.there == upload.size
        return self


@pytest.fixture(scope="module")
def large(upload: Upload, tmp_path_factory: pytest.TempPathFactory) -> Upload:
    """A file of 400 MB, which takes no room."""
    size, digest = 400_000_000, hashlib.sha256()
    for _ in range(size // 1_000_000):
        digest.update(bytes(1_000_000))
    path = tmp_path_factory.mktemp("large") / "blob"
    with path.open("wb") as file:
        file.truncate(size)
    return replace(upload, content=path, size=size, sha256=digest.hexdigest())


def test_a_link_is_filled_by_larger_chunks(large: Upload) -> None:
    link = Link().take(large)
    assert large.size / link.now >= 0.9 * link.rate


def test_a_link_on_which_a_chunk_takes_long_gets_no_larger_ones(large: Upload) -> None:
    link = Link(rate=1e6).take(large)
    assert max(link.sizes) == chunk_size(large.size)


@pytest.mark.parametrize("seldom", [1, 3, 6])
def test_twenty_cuts_of_the_largest_chunks_cost_a_tenth_at_most(large: Upload, seldom: int) -> None:
    link = Link(cut=lambda number: number % (seldom + 1) == 0 and number // (seldom + 1) <= CUTS).take(large)
    assert 1.05 * large.size < sum(link.sizes) <= 1.1 * large.size


def test_chunks_that_grew_beyond_what_a_proxy_lets_through_shrink_again(large: Upload) -> None:
    link = Link(most=5_000_000).take(large)
    assert len([size for size in link.sizes if size > link.most]) <= 3


def test_a_first_chunk_that_is_refused_for_its_size_is_at_a_wrong_place(large: Upload) -> None:
    with pytest.raises(LocationRefused):
        Link(most=1).take(large)


def test_a_link_that_lasts_for_half_a_chunk_is_good_enough_where_the_server_keeps_it(upload: Upload) -> None:
    server = Server(faults=iter([LEAST_CHUNK // 2] * 16))
    transfer(upload, server, lambda _: None)
    assert bytes(server.data) == CONTENT


# --- servers that lie


def test_a_server_that_forgot_some_is_sent_it_again(upload: Upload) -> None:
    server = Server(faults=iter([None, None, 0]))
    server.answer = lambda offset: offset if server.asked == 0 else forget(server, LEAST_CHUNK)

    def forget(server: Server, kept: int) -> int:
        del server.data[kept:]
        server.answer = lambda offset: offset
        return kept

    transfer(upload, server, lambda _: None, offset=0)
    assert bytes(server.data) == CONTENT


@pytest.mark.parametrize("offset", [0, None])
def test_more_than_was_sent_is_not_believed(upload: Upload, offset: int | None) -> None:
    server = Server(answer=lambda offset: SIZE + 1)
    with pytest.raises(LocationLost, match=f"has {SIZE + 1} bytes"):
        transfer(upload, server, lambda _: None, offset=offset)


def test_an_end_before_the_last_byte_was_sent_is_not_believed(upload: Upload) -> None:
    """As from a sign-in page that answers every PUT with success."""
    server = Server(answer=lambda offset: SIZE)
    with pytest.raises(LocationLost):
        transfer(upload, server, lambda _: None, offset=0)


def test_a_server_that_never_gets_on_is_left_alone(upload: Upload) -> None:
    server = Server(answer=lambda offset: 0)
    with pytest.raises(OutOfStep):
        transfer(upload, server, lambda _: None, offset=0)
    assert server.sent <= FRUITLESS * LEAST_CHUNK


def test_a_server_that_goes_forth_and_back_is_left_alone(upload: Upload) -> None:
    server = Server()

    def send(offset: int, chunk: Chunk) -> int:
        server.sent += 1
        if server.sent % 2:
            return offset + len(chunk)
        raise OutOfStep("409")

    server.send = send  # type: ignore[method-assign]
    with pytest.raises(OutOfStep):
        transfer(upload, server, lambda _: None, offset=0)
    assert server.sent == 2 * INTERRUPTIONS


def test_what_a_person_or_the_drain_must_see_to_ends_the_attempt_at_once(upload: Upload) -> None:
    server = Server()

    def send(offset: int, chunk: Chunk) -> int:
        server.sent += 1
        raise Transient("503", status=503, retry_after=9.0)

    server.send = send  # type: ignore[method-assign]
    with pytest.raises(Transient):
        transfer(upload, server, lambda _: None, offset=0)
    assert server.sent == 1


# --- files that are not what was journaled


@pytest.mark.parametrize("there", [0, LEAST_CHUNK, SIZE - 1])
def test_a_damaged_file_never_arrives_whole(upload: Upload, tmp_path: Path, there: int) -> None:
    """Also where the damage is in what an earlier attempt has sent."""
    damaged = bytearray(CONTENT)
    damaged[5] ^= 1
    content = tmp_path / "damaged"
    content.write_bytes(damaged)
    bad = replace(upload, content=content)
    server = Server(data=bytearray(CONTENT[:there]))
    with pytest.raises(BlobUnusable, match="damaged"):
        transfer(bad, server, lambda _: None)
    assert len(server.data) < SIZE
