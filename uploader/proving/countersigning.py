"""Having the platforms of a run countersign it now, on a person's word; drains do so at milestones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from journal.folder import Journal
from journal.outbox.targets import targets
from uploader.addresses import shown
from uploader.connecting import connect
from uploader.errors import UploaderError
from uploader.platforms.base import KeepingHeads, RunIdentity
from uploader.proof.signers import Signers
from uploader.proving.signing_heads import sign_heads
from uploader.proving.telling_heads import tell_heads
from uploader.settings import Settings

_CONNECTIONS = 1
_ANSWER_SECONDS = 30.0


def countersign(journal: Journal, run: str, settings: Settings, signers: Signers) -> Iterator[str]:
    """Have each platform that knows a run keep its head and countersign it; yield in words what keeps it from that.

    Raises:
        JournalError: The journal cannot be used.
    """
    with journal.begin(read_only=True) as connection:
        known = [each for each in targets(connection, [run]) if each.state == "registered"]
    if not known:
        yield "no platform knows the run yet; `drain` delivers it"
    for target in known:
        place, one = shown(target.destination.base_url), target.run
        identity = RunIdentity(one.id, one.project or settings.default_project, one.name, target.ids)
        try:
            platform = connect(
                target.destination.platform,
                target.destination.base_url,
                settings,
                connections=_CONNECTIONS,
                answer_seconds=_ANSWER_SECONDS,
            )
            with closing(platform):
                if not isinstance(platform, KeepingHeads):
                    yield f"{place} keeps no heads of runs"
                    continue
                if (heads := sign_heads(journal, run, signers)) is None:
                    continue
                kept = tell_heads(journal, target.destination.id, platform, identity, heads)
        except UploaderError as error:
            yield f"{place}: {error}"
            continue
        yield from (f"{place}: {why}" for why in [kept.refused, *kept.contradicted] if why)
        if kept.witness is None:
            yield f"{place} countersigns nothing"
