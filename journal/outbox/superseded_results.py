"""Whether results say everything that others say, so that these are not needed any more. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from journal.outbox.results_intake import is_further
from journal.outbox.run_results import Results, TargetResults


def supersede(own: Results, other: Results) -> bool:
    """Return whether taking in `other` after `own` would change nothing.

    Args:
        own: Results of a run.
        other: Results of the same run.
    """
    targets = {(one.platform, one.base_url): one for one in own.targets}
    sessions = {one.uuid: (one.heartbeat_at, one.ended_at or "") for one in own.sessions}
    for end in other.sessions:
        known = sessions.get(end.uuid)
        if known is None or known[0] < end.heartbeat_at or known[1] < (end.ended_at or ""):
            return False
    known_targets = ((targets.get((one.platform, one.base_url)), one) for one in other.targets)
    return all(known is not None and _supersedes(known, one) for known, one in known_targets)


def _supersedes(own: TargetResults, other: TargetResults) -> bool:
    is_as_far = own.state in {other.state, "registered"} or other.state == "new"
    return (
        is_as_far
        and other.ids.items() <= own.ids.items()
        and other.stage <= own.stage
        and other.last_upload_at <= own.last_upload_at
        and other.dropped_at in {None, own.dropped_at}
        and set(other.signals) <= set(own.signals)
        and _are_known(own, other)
        and _are_planned(own.planned, other.planned)
    )


def _are_known(own: TargetResults, other: TargetResults) -> bool:
    known = {one.chunk_id: one for one in own.deliveries}
    return all(
        (mine := known.get(one.chunk_id)) is not None and not is_further(one, mine) and one.attempts <= mine.attempts
        for one in other.deliveries
    )


def _are_planned(own: Mapping[str, Sequence[Sequence[int]]], other: Mapping[str, Sequence[Sequence[int]]]) -> bool:
    return all(
        any(first <= low and high <= last for first, last in own.get(session, ()))
        for session, ranges in other.items()
        for low, high in ranges
    )
