"""Whether a platform has more of a run than the journal, which then is an older copy. Pure.

An older copy would replace what the newer one has delivered by older weights, shorter text or an earlier state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from journal.records import Known
from uploader.platforms.session_lineage import ReportedSession


def ahead(model: Mapping[str, Any], known: Known) -> str | None:
    """Describe what a platform's model has that the journal does not; None if there is nothing.

    Args:
        model: As the platform lists it.
        known: What the journal holds of the run.
    """
    session = ReportedSession.of(model)
    if session is not None and session.uuid not in known.sessions:
        # One of the same generation is another branch, which the registration detects.
        return "a later session" if session.generation > known.generation else None
    last = last_epoch(model)
    if last is not None and known.last_epoch is not None and last > known.last_epoch:
        return f"epochs up to {last}, and this journal up to {known.last_epoch}"
    return "the training's end" if model.get("status") == "completed" and not known.is_complete else None


def last_epoch(model: Mapping[str, Any]) -> int | None:
    """Return a model's last epoch, or None if it has none or does not say."""
    results = model.get("trainResults")
    epochs = [each.get("epoch") for each in results if isinstance(each, dict)] if isinstance(results, list) else []
    return max((number for number in epochs if isinstance(number, int)), default=None)
