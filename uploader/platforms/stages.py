"""Which delivery has to wait for which, on any platform. Pure.

The milestones `training_started`, `training_complete` and `training_failed` each have a stage of their own; what lies
between two of them, and belongs to one session, shares a stage. A delivery waits for all lower stages of its run. So a
run is registered first and completed last, and between the two, metrics do not wait for a slow checkpoint.
"""

from __future__ import annotations

from journal.kinds import MILESTONES


def next_stage(stage: int, kind: str, *, is_other_session: bool = False) -> int:
    """Return the stage of an event's delivery that follows one of stage `stage`: milestones are odd, the rest even.

    Two sessions never share a stage, even without a milestone between them.
    """
    if kind in MILESTONES:
        return milestone(stage)
    return stage + 2 if is_other_session and stage % 2 == 0 else between(stage)


def milestone(stage: int) -> int:
    """Return the stage of a milestone that follows a delivery of stage `stage`."""
    return stage + 1 + stage % 2


def between(stage: int) -> int:
    """Return the stage of anything else that follows a delivery of stage `stage`."""
    return stage + stage % 2
