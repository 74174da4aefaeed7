"""Whether the platforms have exactly what was journaled, read with SQLite on one side and over HTTP on the other.

Our own verification has to come to the same: nothing is said of a run that arrived whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

from soaks import hub_verdict, ultralytics_verdict
from soaks.databases import queried
from soaks.drains import HUB, KEY, ULTRALYTICS, Job, opened_of
from soaks.network_tally import NetworkTally
from uploader.connecting import connect
from uploader.verification.runs import chosen_targets
from uploader.verification.verifying import Verifier

_COMPARE = {ULTRALYTICS: ultralytics_verdict.compare, HUB: hub_verdict.compare}
_OPEN = "SELECT state, kind FROM deliveries WHERE state NOT IN ('delivered', 'superseded')"


def compare(job: Job, url: str, project: str, tally: NetworkTally) -> None:
    """Compare what was recorded, and drained, with what a local platform has.

    Args:
        job: The journal's drains.
        url: The platform's base URL, not the proxy's.
        project: The project of all runs of the journal, and of nothing else.
        tally: Receives the findings.
    """
    for state, kind in queried(job, _OPEN):
        tally.note("lost", f"a delivery of {kind} is {state}")
    for platform in job.platforms:
        _COMPARE[platform](job, url, KEY, project, tally)
    for finding in unproven(job, url):
        tally.note("lost", f"a verification says: {finding}")


def unproven(job: Job, url: str) -> Iterator[str]:
    """Yield what our own verification does not find proven; it reads checkpoints back as well.

    Args:
        job: The journal's drains.
        url: The platform's base URL, not the proxy's.
    """
    settings = replace(job, url=url).settings
    with opened_of(job) as opened:
        for target in chosen_targets(opened, (), None):
            place = target.destination
            with closing(connect(place.platform, url, settings, connections=1)) as platform:
                found = Verifier(opened, platform, settings.default_project, deep=True).verify(target)
            if found.failure:
                yield f"{place.platform} cannot be read back: {found.failure}"
            for finding in found.findings:
                yield f"{finding.item} at {place.platform} is {finding.word}: {finding.why}"
