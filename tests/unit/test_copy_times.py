"""When a checkpoint file is copied."""

from __future__ import annotations

import pytest

from journal.kinds import BEST, FINAL, LAST
from uploader.recording.copy_times import COPY_SECONDS, CopyTimes


@pytest.fixture
def times() -> CopyTimes:
    return CopyTimes(is_mirrored=False)


def due(times: CopyTimes, role: str, now: float, *, is_last: bool = False, is_elsewhere: bool = False) -> float:
    return times.due(role, now, is_last=is_last, is_elsewhere=is_elsewhere)


def test_the_first_file_of_each_role_is_copied_at_once(times: CopyTimes) -> None:
    assert due(times, LAST, 100.0) == 100.0
    times.copied(LAST, 101.0, is_free=False)
    assert due(times, BEST, 102.0) == 102.0


def test_the_next_is_copied_when_the_copy_is_of_a_stated_age(times: CopyTimes) -> None:
    times.copied(LAST, 100.0, is_free=False)
    assert due(times, LAST, 102.0) == 100.0 + COPY_SECONDS
    assert due(times, LAST, 100.0 + COPY_SECONDS + 7) == 100.0 + COPY_SECONDS + 7


def test_a_hundred_epochs_of_two_seconds_cost_a_twentieth_of_their_files(times: CopyTimes) -> None:
    copies = 0
    waiting: dict[str, float] = {}
    for now in map(float, range(200)):
        if now % 2 == 0:
            waiting |= {role: due(times, role, now) for role in (LAST, BEST)}
        for role in [role for role, at in waiting.items() if at <= now]:
            del waiting[role]
            times.copied(role, now, is_free=False)
            copies += 1
    assert copies <= 0.05 * 200


@pytest.mark.parametrize(
    "reason",
    [{"is_last": True}, {"is_elsewhere": True}],
    ids=["the trainer changes the only good one", "the trainer's disk may vanish alone"],
)
def test_what_may_be_gone_later_is_copied_at_once(times: CopyTimes, reason: dict[str, bool]) -> None:
    times.copied(LAST, 100.0, is_free=False)
    assert due(times, LAST, 102.0, **reason) == 102.0


def test_a_final_file_is_copied_at_once(times: CopyTimes) -> None:
    times.copied(FINAL, 100.0, is_free=False)
    assert due(times, FINAL, 102.0) == 102.0


def test_copies_that_share_their_blocks_cost_nothing(times: CopyTimes) -> None:
    times.copied(LAST, 100.0, is_free=True)
    assert due(times, LAST, 102.0) == 102.0
    assert due(times, BEST, 102.0) == 102.0


def test_a_mirror_gets_every_checkpoint() -> None:
    times = CopyTimes(is_mirrored=True)
    times.copied(LAST, 100.0, is_free=False)
    assert due(times, LAST, 102.0) == 102.0
