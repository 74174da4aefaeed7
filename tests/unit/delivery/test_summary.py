from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from journal.reading.report import RunReport, TargetReport
from uploader.delivery.summary import DestinationResult, Summary, summarize
from uploader.errors import CredentialsRefused, KeyNotForHere, NoKey, UploaderError

HERE = ("ultralytics", "http://here")
TARGET = TargetReport(
    platform="ultralytics",
    base_url="http://here",
    state="registered",
    reason=None,
    ids={},
    unplanned=0,
    pending=0,
    delivered=5,
    dead=0,
    superseded=0,
    dropped=0,
    dropped_at=None,
    pending_bytes=0,
    oldest_at=None,
    next_attempt_at=None,
    last_error=None,
)


def summary(ending: DestinationResult | None = None, **changes: Any) -> Summary:
    run = RunReport("uuid", None, "train", "", "finished", 3, 9, (replace(TARGET, **changes),))
    return summarize([run], {HERE: ending or DestinationResult()}, seconds=1.0, interrupted=False)


def test_nothing_to_do_is_success() -> None:
    assert summarize([], {}, seconds=0, interrupted=False).exit_code == 0
    assert summary().exit_code == 0
    assert summary().destinations[0].state == "up to date"


@pytest.mark.parametrize("left", [{"pending": 1}, {"unplanned": 1}])
def test_work_remains(left: dict[str, int]) -> None:
    it = summary(DestinationResult(next_attempt_at="2026"), **left)
    assert (it.exit_code, it.destinations[0].state, it.destinations[0].next_attempt_at) == (3, "work remains", "2026")


def test_an_unreachable_host_is_named_so() -> None:
    it = summary(DestinationResult(error="host cannot be reached", is_unreachable=True), pending=1)
    assert (it.exit_code, it.destinations[0].state) == (3, "unreachable")
    assert it.destinations[0].error == "host cannot be reached"


def test_refused_credentials_go_before_remaining_work_and_dead_letters() -> None:
    it = summary(DestinationResult(closed=CredentialsRefused("no key")), pending=1, dead=1)
    assert (it.exit_code, it.destinations[0].state, it.destinations[0].error) == (5, "credentials refused", "no key")


def test_a_missing_key_does_not_matter_when_nothing_remains() -> None:
    assert summary(DestinationResult(closed=CredentialsRefused("no key"))).exit_code == 0


def test_a_platform_of_a_later_version_is_remaining_work() -> None:
    it = summary(DestinationResult(closed=UploaderError("hub")), pending=1)
    assert (it.exit_code, it.destinations[0].state) == (3, "not supported")


def test_remaining_work_goes_before_dead_letters() -> None:
    assert summary(pending=1, dead=1).exit_code == 3
    assert summary(dead=1).exit_code == 4


def test_what_a_blocked_run_still_holds_is_not_waited_for() -> None:
    it = summary(state="blocked", pending=7, unplanned=7, dead=1)
    assert it.exit_code == 4
    assert (it.destinations[0].pending, it.destinations[0].blocked, it.destinations[0].waiting) == (0, 1, 14)
    assert it.destinations[0].state == "refused in part"
    assert summary(state="blocked", unplanned=7).exit_code == 4  # its dead letters were dropped


@pytest.mark.parametrize(
    ("reason", "state"),
    [(KeyNotForHere("elsewhere"), "paused: no key for it here"), (NoKey("none"), "no key")],
)
def test_a_key_that_is_missing_is_not_shown_as_refused(reason: NoKey, state: str) -> None:
    it = summary(DestinationResult(closed=reason), pending=1)
    assert (it.exit_code, it.destinations[0].state) == (5, state)


def test_what_was_given_up_is_no_work() -> None:
    assert summary(dropped_at="2026", pending=1).destinations == ()


def test_the_last_error_explains_what_backs_off() -> None:
    assert summary(pending=1, last_error="host answered 500").destinations[0].error == "host answered 500"


def test_what_goes_nowhere_yet_has_not_arrived() -> None:
    run = RunReport("uuid", None, "train", "", "finished", 3, 9, ())
    no_key = summarize([run], {}, seconds=0, interrupted=True, nowhere=DestinationResult(closed=NoKey("no key")))
    assert (no_key.exit_code, no_key.destinations[0].state, no_key.destinations[0].error) == (5, "no key", "no key")
    assert (no_key.destinations[0].platform, no_key.destinations[0].unplanned) == ("", 9)
    later = summarize([run], {}, seconds=0, interrupted=False)  # it began when this drain was about to end
    assert (later.exit_code, later.destinations[0].state) == (3, "work remains")
