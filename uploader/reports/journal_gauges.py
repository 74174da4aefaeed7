"""What a journal tells Prometheus: gauges of what waits, what needs a person, and what goes on. Pure.

Their names and labels are a promise: dashboards and alerts are made of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import get_args

from journal.clock import from_text
from journal.kinds import RunState
from journal.read_only import Glance
from journal.reading.backlog_figures import DestinationBacklog
from uploader.addresses import shown
from uploader.reports.exposition import Gauge, Sample
from uploader.reports.standing import Standing, standing_of

_OfDestination = Callable[[DestinationBacklog], float | None]
_OF_DESTINATIONS: Mapping[str, tuple[str, _OfDestination]] = {
    "uploader_pending_messages": ("Messages that are planned and have not arrived.", lambda one: one.messages),
    "uploader_pending_uploads": ("Uploads of checkpoints that are planned and not done.", lambda one: one.uploads),
    "uploader_pending_bytes": ("Bytes of what is planned and has not arrived.", lambda one: one.bytes),
    "uploader_claimed_deliveries": ("Deliveries that a drain makes now.", lambda one: one.claimed),
    "uploader_unplanned_events": ("Events that no delivery was made for yet.", lambda one: one.unplanned),
    "uploader_oldest_pending_age_seconds": (
        "Age of the oldest event or delivery that has not arrived, 0 where nothing waits.",
        lambda one: one.oldest_age_seconds or 0.0,
    ),
    "uploader_dead_letters": ("Deliveries that the platform refused for good.", lambda one: one.dead),
    "uploader_blocked_runs": ("Runs that the platform refuses as a whole.", lambda one: one.blocked),
    "uploader_last_delivery_timestamp_seconds": (
        "When a delivery arrived for the last time, in seconds since 1970.",
        lambda one: _timestamp(one.last_delivery_at),
    ),
}
_OfJournal = Callable[[Glance, int | None], float | None]
_OF_JOURNALS: Mapping[str, tuple[str, _OfJournal]] = {
    "uploader_live_trainings": ("Sessions of trainings that are alive.", lambda seen, _: seen.live_sessions),
    "uploader_drains": ("Drains at work, as far as is known here.", lambda seen, _: len(seen.drains)),
    "uploader_fallback_files": ("Fallback files that are not taken in yet.", lambda seen, _: seen.fallbacks),
    "uploader_journal_bytes": ("What the journal takes up.", lambda seen, _: seen.bytes),
    "uploader_journal_limit_bytes": ("The journal's size limit.", lambda _, limit: limit),
}
_UP = ("uploader_journal_up", "Whether the journal could be read, 1 or 0.")
_RUNS = ("uploader_runs", "Runs by the state of their training.")
_STANDINGS = ("uploader_runs_by_standing", "Runs by how they stand with everything that goes somewhere.")


def journal_gauges(journals: Mapping[str, Glance | None], limit: int | None) -> list[Gauge]:
    """Return the gauges of journals.

    Args:
        journals: What a look at each has found, by its folder or address; None where it cannot be read.
        limit: The size limit of a journal in a folder, if that is known.
    """
    read = {place: seen for place, seen in journals.items() if seen is not None}
    up = [Sample({"journal": place}, float(seen is not None)) for place, seen in journals.items()]
    return [
        Gauge(*_UP, up),
        *(_of_journals(name, told, value, read, limit) for name, (told, value) in _OF_JOURNALS.items()),
        Gauge(*_RUNS, _counted(read, "state", get_args(RunState), lambda seen: [run.state for run in seen.runs])),
        Gauge(*_STANDINGS, _counted(read, "standing", [one.word for one in Standing], _standings)),
        *(_of_destinations(name, told, value, read) for name, (told, value) in _OF_DESTINATIONS.items()),
    ]


def _of_journals(name: str, told: str, value: _OfJournal, read: Mapping[str, Glance], limit: int | None) -> Gauge:
    values = {place: value(seen, limit) for place, seen in read.items()}
    return Gauge(name, told, [Sample({"journal": place}, one) for place, one in values.items() if one is not None])


def _of_destinations(name: str, told: str, value: _OfDestination, read: Mapping[str, Glance]) -> Gauge:
    samples = []
    for place, seen in read.items():
        for one in seen.backlog:
            labels = {"journal": place, "platform": one.platform, "destination": shown(one.base_url)}
            if (found := value(one)) is not None:
                samples.append(Sample(labels, found))
    return Gauge(name, told, samples)


def _counted(
    read: Mapping[str, Glance], label: str, known: Sequence[str], words: Callable[[Glance], Sequence[str]]
) -> list[Sample]:
    """Return a sample for each word that there is, also for those that are true of none now."""
    counts = {place: Counter(words(seen)) for place, seen in read.items()}
    return [Sample({"journal": place, label: word}, found[word]) for place, found in counts.items() for word in known]


def _standings(seen: Glance) -> list[str]:
    return [standing_of(run.state, run.targets.values()).word for run in seen.runs]


def _timestamp(at: str | None) -> float | None:
    try:
        return None if at is None else from_text(at).timestamp()
    except ValueError:
        return None
