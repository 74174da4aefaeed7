from __future__ import annotations

import pytest

from uploader.delivery.circuit_breaker import FAILURES_IN_A_ROW, LONGEST_PAUSE, CircuitBreaker, LaneBreakers
from uploader.errors import BlobUnusable, DeliveryError, Transient, UnknownOutcome, Unreachable

AWAY = Unreachable("away")
BUSY = Transient("busy", status=503)


@pytest.fixture
def breaker() -> CircuitBreaker:
    return CircuitBreaker(random=lambda: 1.0)


def test_one_probe_then_all(breaker: CircuitBreaker) -> None:
    assert breaker.state(0) == "half-open"
    breaker.answered(0)
    assert breaker.state(0) == "closed"


def test_an_unreachable_host_is_probed_at_growing_intervals(breaker: CircuitBreaker) -> None:
    now, pauses = 0.0, []
    for _ in range(9):
        breaker.failed(AWAY, now)
        assert breaker.state(now) == "open"
        pauses.append(breaker.resumes_at - now)
        now = breaker.resumes_at
        assert breaker.state(now) == "half-open"
    assert pauses == [1, 2, 4, 8, 16, 32, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]
    assert breaker.unreachable == 9
    assert not breaker.reached


def test_failures_that_were_in_flight_together_count_once(breaker: CircuitBreaker) -> None:
    breaker.answered(0)
    for _ in range(16):
        breaker.failed(AWAY, 1)
    assert breaker.unreachable == 1
    assert breaker.resumes_at == 2


def test_a_host_that_is_back_is_trusted_anew(breaker: CircuitBreaker) -> None:
    breaker.failed(AWAY, 0)
    breaker.answered(1)
    assert breaker.state(1) == "closed"
    assert breaker.unreachable == 0
    breaker.failed(AWAY, 2)
    assert breaker.resumes_at == 3


def test_a_late_answer_does_not_end_a_pause(breaker: CircuitBreaker) -> None:
    breaker.answered(0)
    breaker.failed(Transient("busy", status=429, retry_after=30), 1)
    breaker.answered(2)
    assert breaker.state(2) == "open"
    assert breaker.state(31) == "half-open"


def test_retry_after_pauses_the_destination_at_once(breaker: CircuitBreaker) -> None:
    breaker.answered(0)
    breaker.failed(Transient("busy", status=429, retry_after=30), 0)
    breaker.failed(Transient("busy", status=429, retry_after=10), 0)
    assert breaker.resumes_at == 30


@pytest.mark.parametrize("error", [BUSY, UnknownOutcome("reset")])
def test_a_probe_that_fails_is_followed_by_a_wait(breaker: CircuitBreaker, error: DeliveryError) -> None:
    pauses = []
    for _ in range(4):
        breaker.failed(error, breaker.resumes_at)
        pauses.append(breaker.resumes_at)
    assert pauses == [1, 3, 7, 15]


@pytest.mark.parametrize("asked", [0.0, 1.0])
def test_a_host_that_keeps_asking_for_short_waits_gets_longer_ones(breaker: CircuitBreaker, asked: float) -> None:
    breaker.answered(0)
    waits = []
    for _ in range(8):
        now = breaker.resumes_at
        breaker.failed(Transient("busy", status=429, retry_after=asked), now)
        waits.append(breaker.resumes_at - now)
    assert waits == [1, 2, 4, 8, 16, 32, LONGEST_PAUSE, LONGEST_PAUSE]


def test_waits_are_spread() -> None:
    early, late = CircuitBreaker(random=lambda: 0.0), CircuitBreaker(random=lambda: 1.0)
    for breaker in (early, late):
        breaker.failed(AWAY, 0)
    assert (early.resumes_at, late.resumes_at) == (0.5, 1.0)


@pytest.mark.parametrize("error", [BUSY, UnknownOutcome("reset")])
def test_failures_in_a_row_pause_the_destination(breaker: CircuitBreaker, error: DeliveryError) -> None:
    breaker.answered(0)
    for _ in range(FAILURES_IN_A_ROW - 1):
        breaker.failed(error, 0)
    assert breaker.state(0) == "closed"
    breaker.failed(error, 0)
    assert breaker.state(0) == "open"
    breaker.failed(error, breaker.resumes_at)
    assert breaker.resumes_at == 1 + 2


def test_single_failures_between_answers_do_no_harm(breaker: CircuitBreaker) -> None:
    breaker.answered(0)
    for _ in range(10 * FAILURES_IN_A_ROW):
        breaker.failed(BUSY, 0)
        breaker.answered(0)
    assert breaker.state(0) == "closed"


def test_what_says_nothing_about_the_host_changes_nothing(breaker: CircuitBreaker) -> None:
    for _ in range(10):
        breaker.failed(BlobUnusable("gone"), 0)
    assert breaker.state(0) == "half-open"


# --- uploads


@pytest.fixture
def breakers() -> LaneBreakers:
    return LaneBreakers(random=lambda: 1.0)


def test_an_upload_that_is_put_off_leaves_messages_alone(breakers: LaneBreakers) -> None:
    breakers.answered("message", 0)
    breakers.failed("upload", Transient("busy", status=429, retry_after=600), 0)
    assert (breakers.state("message", 1), breakers.resumes_at("message")) == ("closed", 0)
    assert (breakers.state("upload", 599), breakers.resumes_at("upload")) == ("open", 600)
    breakers.answered("message", 600)
    assert breakers.state("upload", 600) == "half-open"
    breakers.answered("upload", 601)
    assert breakers.state("upload", 601) == "closed"


def test_an_upload_that_is_put_off_again_waits_longer(breakers: LaneBreakers) -> None:
    breakers.answered("message", 0)
    for now, pause in [(0, 1), (1, 2), (3, 4)]:
        breakers.failed("upload", BUSY, now)
        assert breakers.resumes_at("upload") == now + pause


def test_a_message_that_is_put_off_puts_uploads_off(breakers: LaneBreakers) -> None:
    breakers.failed("message", BUSY, 0)
    assert breakers.state("upload", 0) == "open"


def test_an_upload_that_cannot_reach_the_host_puts_all_off(breakers: LaneBreakers) -> None:
    breakers.failed("upload", AWAY, 0)
    assert breakers.state("message", 0) == "open"
    assert breakers.host.unreachable == 1


def test_an_upload_that_fails_by_itself_puts_none_off(breakers: LaneBreakers) -> None:
    breakers.answered("message", 0)
    breakers.failed("upload", BlobUnusable("gone"), 0)
    assert breakers.state("upload", 0) == "closed"


def test_a_late_answer_does_not_end_a_pause_of_uploads(breakers: LaneBreakers) -> None:
    breakers.answered("message", 0)
    breakers.failed("upload", Transient("busy", status=429, retry_after=600), 0)
    breakers.answered("upload", 1)
    assert breakers.state("upload", 1) == "open"
