from __future__ import annotations

import socket
from collections.abc import Iterator
from http.client import HTTPException

import pytest

from uploader.platforms.http import answer_deadline
from uploader.platforms.http.answer_deadline import LEAST, MOST_INTERIM, DeadlineResponse

WITHIN = 10.0
SIZE = 4 * LEAST


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(answer_deadline, "time", clock)
    return clock


@pytest.fixture
def answer(clock: Clock) -> Iterator[DeadlineResponse]:
    """An answer that has arrived; how long it took is the clock's."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * SIZE)
        theirs.sendall(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
        theirs.sendall(bytes(SIZE))
        ours.settimeout(WITHIN)
        yield DeadlineResponse(ours, method="GET")


def test_a_body_that_keeps_coming_may_take_long(answer: DeadlineResponse, clock: Clock) -> None:
    answer.begin()
    for _ in range(4):
        clock.now += WITHIN - 1
        assert len(answer.read(LEAST)) == LEAST


def test_bytes_that_are_too_few_buy_no_time(answer: DeadlineResponse, clock: Clock) -> None:
    answer.begin()
    answer.read(LEAST - 8)
    clock.now += WITHIN - 1
    answer.read(4)
    clock.now += 1
    with pytest.raises(TimeoutError, match="too slowly"):
        answer.read(LEAST)


def test_the_head_has_its_time_and_no_more(answer: DeadlineResponse, clock: Clock) -> None:
    clock.now += WITHIN
    with pytest.raises(TimeoutError, match="too slowly"):
        answer.begin()


def test_the_sockets_own_time_out_stays(answer: DeadlineResponse, clock: Clock) -> None:
    clock.now += WITHIN - 1
    answer.begin()
    assert answer._source._sock.gettimeout() == WITHIN


@pytest.mark.parametrize("too_many", [0, 1])
def test_so_many_interim_answers_are_passed_over_and_no_more(too_many: int) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n" * (MOST_INTERIM + too_many) + b"HTTP/1.1 204 Done\r\n\r\n")
        response = DeadlineResponse(ours, method="GET")
        if too_many:
            with pytest.raises(HTTPException, match="only interim"):
                response.begin()
        else:
            response.begin()
            assert response.status == 204
