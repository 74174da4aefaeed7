"""Whether the platforms have exactly what was journaled, read with SQLite on one side and over HTTP on the other."""

from __future__ import annotations

from soaks import hub_verdict, ultralytics_verdict
from soaks.drains import HUB, KEY, ULTRALYTICS, Job
from soaks.network_tally import NetworkTally, rows

_COMPARE = {ULTRALYTICS: ultralytics_verdict.compare, HUB: hub_verdict.compare}
_OPEN = "SELECT state, kind FROM deliveries WHERE state NOT IN ('delivered', 'superseded')"


def compare(job: Job, url: str, project: str, tally: NetworkTally) -> None:
    """Compare a delivered journal with what a local platform has.

    Args:
        job: Its drains.
        url: The platform's base URL, not the proxy's.
        project: The project of all runs of the journal, and of nothing else.
        tally: Receives the findings.
    """
    for state, kind in rows(job.folder, _OPEN):
        tally.note("lost", f"a delivery of {kind} is {state}")
    for platform in job.platforms:
        _COMPARE[platform](job.folder, url, KEY, project, tally)
