"""Whether a run has reached what somebody waits for, may still reach it, never will, or needs a person first. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from journal.clock import to_the_second
from journal.kinds import GOING_ON
from journal.quantities import count
from journal.reading.recorded_epochs import RecordedEpoch, trained_epochs
from journal.reading.remaining import Remaining
from journal.reading.run_reader import RunProgress
from uploader.addresses import shown
from uploader.reports.conditions import VERIFIED, Comparison, Condition

Verdict = Literal["reached", "waiting", "never", "trouble"]
_MOST_NAMES = 8
PRUNED = "its events were pruned, so nothing here can send those again"


@dataclass(frozen=True)
class Judgement:
    """How it stands with what somebody waits for.

    Attributes:
        verdict: Whether it is reached, and whether it can be.
        stage: What is waited for at the moment, in a word; a person is told when it changes.
        why: The reason, in words.
    """

    verdict: Verdict
    stage: str
    why: str


@dataclass(frozen=True)
class Best:
    """What the epochs of a run have shown of a metric so far.

    Attributes:
        value: The one that is nearest to what is wanted; None if none told the metric.
        where: In which epoch that was, in words.
        epochs: How many epochs were looked at.
        unit: What they are called: a loop's are steps.
        names: The metrics that these told.
    """

    value: float | None = None
    where: str = ""
    epochs: int = 0
    unit: str = "epoch"
    names: frozenset[str] = frozenset()

    @classmethod
    def of(cls, epochs: Sequence[RecordedEpoch], wanted: Comparison) -> Best:
        """Return what the epochs of a run show, in their order."""
        trained = {one.epoch for one in trained_epochs(epochs)}
        unit = "step" if any(one.is_step for one in epochs) else "epoch"
        best = cls(epochs=len(trained), unit=unit, names=frozenset().union(*(one.metrics for one in epochs)))
        for one in epochs:
            value = one.metrics.get(wanted.metric)
            if isinstance(value, (int, float)) and (best.value is None or (value > best.value) == wanted.wants_more):
                where = one.name if one.epoch in trained else "the final evaluation"
                best = replace(best, value=float(value), where=where)
        return best


def judge(condition: Condition, progress: RunProgress, best: Best, retry: str) -> Judgement:
    """Return how it stands.

    Args:
        condition: What is waited for.
        progress: How far the run is.
        best: What its epochs have shown, for a comparison.
        retry: The command that sends again what was refused.
    """
    if isinstance(condition, Comparison):
        return _compared(condition, progress, best)
    live = [one for one in progress.run.targets.values() if one.dropped_at is None]
    if refused := [_refused(one, retry) for one in live if one.state == "blocked" or one.dead]:
        return Judgement("trouble", "refused", "; ".join(refused))
    if progress.run.targets and not live:
        return Judgement("never", "dropped", "it goes nowhere any more: each of its destinations was dropped")
    if (left := _left(progress, live)) is not None:
        return left
    return (
        _verified(live, pruned=progress.run.pruned)
        if condition == VERIFIED
        else Judgement("reached", "", _arrived(live))
    )


def _left(progress: RunProgress, live: Sequence[Remaining]) -> Judgement | None:
    """Return what is waited for before a run has arrived; None if it has."""
    if _goes_on(progress):
        return _training(progress)
    if not live:
        return Judgement(
            "waiting", "nowhere", "it goes nowhere yet; the next drain sends it to the configured platform"
        )
    if progress.is_end_untold:
        return Judgement("waiting", "untold", "its process died, which the next drain tells the platforms")
    if left := [_waits(one) for one in live if one.pending or one.unplanned]:
        return Judgement("waiting", "pending", "; ".join(left))
    if progress.left_beside:
        files = count(progress.left_beside, "file")
        return Judgement("waiting", "beside", f"the next drain takes in {files} that it left beside the journal")
    return None


def _goes_on(progress: RunProgress) -> bool:
    return progress.is_live or progress.run.state in GOING_ON


def _training(progress: RunProgress) -> Judgement:
    if progress.run.state == "silent":
        since = to_the_second(progress.run.last_sign_at)
        return Judgement("waiting", "silent", f"it is silent since {since}, and may still be training")
    return Judgement("waiting", "training", "it is still training")


def _waits(one: Remaining) -> str:
    parts = [count(one.pending, "delivery") + " pending"] if one.pending else []
    parts += [count(one.unplanned, "event") + " not planned yet"] if one.unplanned else []
    error = f" (last error: {one.last_error})" if one.last_error else ""
    return f"{' and '.join(parts)} for {_place(one)}{error}"


def _refused(one: Remaining, retry: str) -> str:
    what = "the whole run" if one.state == "blocked" else count(one.dead, "delivery")
    reason = one.reason or next((letter.reason for letter in one.dead_letters if letter.reason), None)
    return f"{_place(one)} refused {what}{f': {reason}' if reason else ''}; remove the cause, then `{retry}`"


def _verified(live: Sequence[Remaining], *, pruned: bool) -> Judgement:
    unread = [one for one in live if not (found := one.verification) or found.waits or not found.is_current]
    for one in live:
        found = one.verification
        if found and found.is_current and (found.missing or found.different):
            first = next(
                (f", such as {each.item}: {each.why}" for each in found.findings if each.word != "unreadable"), ""
            )
            wrong = f"{found.missing} missing and {found.different} different at {_place(one)}{first}"
            helps = PRUNED if pruned else "`verify --fix` sends again what that puts right"
            return Judgement("trouble", "wrong", f"read back, {wrong}; {helps}")
    if unread:
        where = ", ".join(_place(one) for one in unread)
        return Judgement("waiting", "unread", f"it has arrived; `verify` has not read it back from {where} since")
    if left := [_place(one) for one in live if not (one.verification and one.verification.is_verified)]:
        return Judgement("never", "unreadable", f"nothing of it can be read back from {', '.join(left)}")
    return Judgement("reached", "", f"read back from {', '.join(map(_place, live))}, as recorded")


def _arrived(live: Sequence[Remaining]) -> str:
    return f"all of it has arrived at {', '.join(map(_place, live))}"


def _compared(wanted: Comparison, progress: RunProgress, best: Best) -> Judgement:
    told = f"{wanted.metric} is {best.value:g} in {best.where}" if best.value is not None else ""
    if wanted.holds(best.value):
        return Judgement("reached", "", told)
    here = " that it has here; others were pruned" if progress.run.pruned else ""
    told = (
        f"the best so far: {told}, of {count(best.epochs, best.unit)}{here}"
        if told
        else _untold(wanted, best, pruned=progress.run.pruned)
    )
    if progress.run.state == "silent":
        found = _training(progress)
        return replace(found, why=f"{found.why}; {told}")
    if _goes_on(progress):
        return Judgement("waiting", "unknown" if best.epochs and best.value is None else "training", told)
    again = "; if it is resumed, wait again" if progress.run.state == "interrupted" else ""
    return Judgement("never", "over", f"it is {progress.run.state}, and {told}{again}")


def _untold(wanted: Comparison, best: Best, *, pruned: bool) -> str:
    if not best.names:
        if pruned:
            return "its epochs were pruned here, so nobody can tell any more"
        return "no epoch has been recorded yet"
    near = difflib.get_close_matches(wanted.metric, best.names, _MOST_NAMES, cutoff=0.6)
    names = near or sorted(best.names)[:_MOST_NAMES]
    return f"no {best.unit} has told a {wanted.metric}; there are {', '.join(names)}"


def _place(one: Remaining) -> str:
    return shown(one.base_url) if one.base_url else f"{one.platform}, whose address is not known yet"
