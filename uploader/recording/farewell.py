"""The last line of a training: what of it has arrived, what has not, and who sends the rest. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from journal.quantities import count
from journal.reading.arrived import Arrived
from journal.reading.drain_at_work import DrainAtWork
from journal.shared_library import NEEDS_LIBRARY
from uploader.addresses import shown


def farewell(arrived: Sequence[Arrived] | None, command: str, drain: DrainAtWork | None) -> str:
    """Return the last line of a training.

    Args:
        arrived: How much has arrived at each destination; None if the journal does not hold all of the run.
        command: What a person types to deliver the rest.
        drain: The drain at work, if there is one.
    """
    if arrived is None:
        return f"not all of this training is in the journal; `{command}` takes in what is beside it, and delivers it"
    lines = "; ".join(map(_line, arrived))
    if not any(one.pending or one.unplanned for one in arrived):
        return lines
    return f"{lines}. {_rest(command, drain)}"


def farewell_into(
    into: str, arrived: Sequence[Arrived] | None, command: str, collector: DrainAtWork | None, *, has_library: bool
) -> str:
    """Return the last line of a training whose journal is brought into a shared one.

    Args:
        into: The shared one's URL, without a password.
        arrived: As for `farewell`, of its journal.
        command: What a person types to bring the rest in.
        collector: The one at work, if there is one.
        has_library: Whether the library is installed that a shared journal needs.
    """
    if arrived is None:
        return f"not all of this training is in the journal; `{command}` takes in what is beside it, and brings it in"
    if not has_library:
        return f"this training is not in {into} yet, which {NEEDS_LIBRARY}; then `{command}` brings it in"
    if collector is None:
        return f"this training goes into {into}: `{command}` brings in what is not there yet"
    if collector.warnings:
        why = "; ".join(collector.warnings)
        beside = f"The collector beside it (process {collector.pid}) tries again and again: {why}"
        return f"this training is not all in {into} yet. {beside}. Should it end before, `{command}` brings it in"
    beside = f"The collector beside it goes on with the rest (process {collector.pid}; it prints to {collector.log})"
    return f"this training goes into {into}. {beside}; should it end before, `{command}` brings it in"


def _line(one: Arrived) -> str:
    place = f" at {shown(one.base_url)}" if one.base_url else ""
    waiting = [count(one.pending, "delivery")] if one.pending else []
    waiting += [count(one.unplanned, "event")] if one.unplanned else []
    refused = f", {count(one.dead, 'delivery')} refused" if one.dead else ""
    if not waiting:
        return f"everything{' else' if refused else ''} of this training has arrived{place}{refused}"
    so_far = f"{count(one.delivered, 'delivery')} arrived" if one.delivered else "nothing of this training has arrived"
    return f"{so_far}{place} so far, {' and '.join(waiting)} not yet{refused}"


def _rest(command: str, drain: DrainAtWork | None) -> str:
    if drain is None:
        return f"`{command}` delivers the rest"
    if drain.warnings:
        why = "; ".join(drain.warnings)
        instead = f"`kill {drain.pid}` ends it, so that `{command}` can deliver"
        return f"The drain beside it (process {drain.pid}) waits: {why}. {instead}"
    log = f"; it prints to {drain.log}" if drain.log else ""
    beside = f"The drain beside it goes on with the rest (process {drain.pid}{log})"
    return f"{beside}; should it end before, `{command}` delivers it"
