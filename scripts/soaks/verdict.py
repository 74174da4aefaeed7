"""Whether the platforms have exactly what was journaled: read by SQLite on one side, by HTTP on the other."""

from __future__ import annotations

from soaks import hub_verdict, ultralytics_verdict
from soaks.drains import HUB, KEY, ULTRALYTICS, Job
from soaks.network_tally import NetworkTally, rows

_COMPARE = {ULTRALYTICS: ultralytics_verdict.compare, HUB: hub_verdict.compare}
_OPEN = "SELECT state, kind FROM deliveries WHERE state NOT IN ('delivered', 'superseded')"


def compare(job: Job, url: str, project: str, tally: NetworkTally) -> None:
    """Compare a journal that was delivered with what a local platform has.

    Args:
        job: The drains of it.
        url: The platform's base URL, not the proxy's.
        project: All the journal's runs are in it, and nothing else.
        tally: Takes what is found.
    """
    for state, kind in rows(job.folder, _OPEN):
        tally.note("lost", f"a delivery of {kind} is {state}")
    for platform in job.platforms:
        _COMPARE[platform](job.folder, url, KEY, project, tally)
