"""What a journal tells of a run beside its curves, as a run's page shows it. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from journal.kinds import CONVERSION, DATASET, DETAIL, FINAL
from journal.mirror.mirror_state import MirrorState
from journal.outbox.verifications import Verification
from journal.quantities import count, epochs_in_words
from journal.reading.delivery_records import DeliveryRecord
from journal.reading.report import TargetReport
from journal.reading.run_gists import RunGist
from journal.reading.run_growth import RunCurves, RunGrowth
from journal.reading.run_reader import RunContents
from journal.reading.stored_checkpoints import StoredCheckpoint
from uploader.addresses import shown
from uploader.dashboard.columns import number
from uploader.dashboard.other_values import other_values
from uploader.dashboard.shown import CheckpointLine, DeliveryLine, DestinationLine, Fact, Number, RunFacts

TOOK = "Took"
MOVING = frozenset({TOOK})
"""Labels of the facts that move while a run is trained."""

_OPEN = ("dead", "pending", "claimed")
_WORDS = {"dead": "refused", "claimed": "on its way", "pending": "waiting"}


def run_facts(
    contents: RunContents,
    gist: RunGist,
    growth: RunGrowth,
    *,
    mirrors: Sequence[MirrorState],
    downloads: Mapping[str, str],
    save_dir: str,
) -> RunFacts:
    """Return what a run's page tells of it.

    Args:
        contents: What the journal holds of it.
        gist: What its list tells.
        growth: What of it has grown, for its best epoch, its evaluation and its pictures.
        mirrors: What is known of its mirrors.
        downloads: Where the bytes of each checkpoint that is here can be fetched, by its sha256.
        save_dir: Where it was trained.
    """
    arguments, environment = asked_of(gist)
    return RunFacts(
        facts=[*_facts(contents, gist, save_dir)],
        description=str(gist.details.get("description") or ""),
        arguments=arguments,
        environment=environment,
        results={name: value for name, value in _mapping(gist.end.get("results")).items() if name != "validation"},
        checkpoints=[_checkpoint(one, downloads) for one in reversed(contents.checkpoints)],
        destinations=[*_destinations(contents), *map(_mirror, mirrors)],
        deliveries=[_delivery(one) for one in contents.deliveries if one.state in _OPEN],
        best=best_of(gist, growth),
        evaluation=evaluation_of(growth),
        others=other_values(growth.others),
        pictures=len(gist.end.get("plots") or ()) + growth.media,
    )


def asked_of(gist: RunGist) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return what a run is trained with, and on what."""
    return _mapping(gist.registration.get("trainArgs")), _mapping(gist.registration.get("environment"))


def best_of(gist: RunGist, curves: RunCurves) -> int | None:
    """Return the best epoch: the one that the training's end names, else the first one of the highest fitness."""
    named = _mapping(gist.end.get("results")).get("bestEpoch")
    return named if isinstance(named, int) and not isinstance(named, bool) else curves.best


def evaluation_of(curves: RunCurves) -> Mapping[str, Number]:
    """Return the values of the final evaluation."""
    return _numbers(curves.evaluation.metrics) if curves.evaluation else {}


def _facts(contents: RunContents, gist: RunGist, save_dir: str) -> Iterator[Fact]:
    times, report = contents.times, contents.report
    yield Fact("Started", times.began_at or report.created_at, "time")
    if times.ended_at:
        yield Fact("Ended", times.ended_at, "time")
    yield Fact(TOOK, round(times.seconds * 1000), "milliseconds")
    if times.sessions > 1:
        yield Fact("Sessions", str(times.sessions))
    if contents.missing_epochs:
        yield Fact("Missing here", epochs_in_words(contents.missing_epochs))
    if report.pruned:
        yield Fact("Pruned", "what had arrived was deleted here")
    for label, value in (("Machine", times.host), ("Device", gist.registration.get("device"))):
        if value:
            yield Fact(label, str(value))
    yield Fact("Folder", save_dir, "code")
    yield Fact("Id", report.id, "code")
    yield from _said(contents, gist)
    for head in contents.signed_heads:
        yield Fact("Signed head", f"at {shown(head.base_url)}")


def _said(contents: RunContents, gist: RunGist) -> Iterator[Fact]:
    if gist.details.get("license"):
        yield Fact("Licence", str(gist.details["license"]))
    for kind, label in ((CONVERSION, "Conversion"), (DATASET, "Dataset")):
        for key in dict.fromkeys(one.key for one in contents.intents if one.kind == kind):
            yield Fact(label, key)
    if other := [one for one in contents.intents if one.kind not in (CONVERSION, DATASET, DETAIL)]:
        yield Fact("Asked for", ", ".join(one.key for one in other))


def _checkpoint(one: StoredCheckpoint, downloads: Mapping[str, str]) -> CheckpointLine:
    arrived = ", ".join(dict.fromkeys(one.deliveries.values())) or "not planned"
    state = f"{'final, ' if one.role == FINAL else ''}{arrived}{'' if one.is_kept else ', not kept here'}"
    return CheckpointLine(
        name=f"{one.filename} ({one.role})" if one.role not in one.filename else one.filename,
        size=one.size,
        sha256=one.sha256,
        epoch=one.epoch,
        state=state,
        saved_at=one.recorded_at,
        download=downloads.get(one.sha256),
    )


def _destinations(contents: RunContents) -> Iterator[DestinationLine]:
    found = {(one.platform, one.base_url): one for one in contents.verifications}
    for target in contents.report.targets:
        verified = found.get((target.platform, target.base_url))
        yield DestinationLine(
            name=shown(target.base_url) if target.base_url else target.platform,
            standing=_standing(target),
            arrived=target.delivered,
            left=target.pending + target.unplanned,
            url=target.page,
            proven=_proven(verified) if verified else None,
            proven_at=verified.verified_at if verified else None,
        )


def _standing(target: TargetReport) -> str:
    if target.dropped_at:
        return "dropped"
    if target.state == "blocked":
        return f"refused as a whole: {target.reason or 'the platform does not say why'}"
    if target.dead:
        return f"{count(target.dead, 'delivery')} refused"
    if target.obstacle:
        return f"{target.obstacle.cause}: {target.obstacle.reason}"
    return "waiting" if target.pending or target.unplanned else "arrived"


def _proven(found: Verification) -> str:
    numbers = [(found.proven, "proven"), (found.different, "different"), (found.missing, "missing")]
    told = ", ".join(f"{value} {what}" for value, what in numbers if value) or "nothing could be read back"
    return told if found.is_current else f"{told}, before more was recorded"


def _mirror(state: MirrorState) -> DestinationLine:
    standing = f"cannot be used: {state.error}" if state.error else state.in_words
    return DestinationLine(state.address, standing, state.events, state.lacking)


def _delivery(one: DeliveryRecord) -> DeliveryLine:
    what = f"{one.kind} {one.role}" if one.role else one.kind
    place = shown(one.base_url) if one.base_url else one.platform
    return DeliveryLine(what, place, _WORDS[one.state], one.reason, one.next_attempt_at)


def _numbers(values: Mapping[str, Any]) -> dict[str, Number]:
    return {name: number(value) for name, value in values.items() if number(value) is not None}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
