"""Verifying several runs, each at each of its destinations: for the command, and as `uploader.verify`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from journal import locations
from journal.errors import NoJournal, StaleClaim, UnknownRow
from journal.opening import open_journal
from journal.reading.places import what_else, what_is
from journal.records import Destination, Target
from uploader.addresses import is_same_place, shown
from uploader.connecting import connect
from uploader.errors import CredentialsRefused, DeliveryError, ReadRefused, SettingsError, Unreachable, UploaderError
from uploader.keys import named_too
from uploader.platforms.base import Platform
from uploader.run_selection import choose_runs
from uploader.settings import Settings
from uploader.verification.verifying import Bar, Verified, Verifier, no_bar

if TYPE_CHECKING:
    from journal.folder import Journal


def verify(
    runs: str | Sequence[str] = (),
    *,
    journal: str | os.PathLike[str] | None = None,
    to: str | None = None,
    deep: bool = False,
) -> list[Verified]:
    """Read runs back from where they go and compare them with the journal, as the command `verify` does.

    Args:
        runs: One or several, each by its name, `project/name`, the beginning of its id, its folder, or `latest`; all
            by default.
        journal: The journal's folder; by default `UPLOADER_JOURNAL`, else the one of this user's application data.
        to: Only at this platform; your key is sent to it.
        deep: Whether to download checkpoints and compare their sha256.

    Returns:
        What was found of each run at each of its destinations. `is_right` says whether all is there.

    Raises:
        NoJournal: There is none. It is not made.
        UnknownRow: A word fits no run, or several; or none of the runs goes to a platform.
        SettingsError: An address cannot be used.
        JournalError: The journal cannot be used.
    """
    folder = locations.default_journal() if journal is None else locations.expanded(journal)
    if what_is(folder) != "journal":
        raise NoJournal(f"there is no journal in {folder}; {what_else(folder)}")
    names = [runs] if isinstance(runs, str) else list(runs)
    with open_journal(folder) as opened:
        return list(verify_targets(opened, chosen_targets(opened, names, to), to=to, deep=deep))


def chosen_targets(opened: Journal, names: Sequence[str], to: str | None) -> list[Target]:
    """Return runs at their destinations, oldest first, without those that a person dropped.

    Args:
        opened: The journal.
        names: What names the runs; none for all.
        to: Only those that go there.

    Raises:
        UnknownRow: A name fits no run, or several; or none of them goes there.
    """
    with closing(opened.outbox()) as outbox:
        run_ids = choose_runs(outbox.routes.runs(), names, opened.place)
        targets = outbox.routes.targets(run_ids=run_ids)
    found = [one for one in targets if to is None or is_same_place(one.destination.base_url, to)]
    if not found:
        where = f"to {shown(to)}" if to else "to any platform yet"
        raise UnknownRow(f"none of these runs goes {where}, so there is nothing to compare with")
    return found


def verify_targets(
    opened: Journal,
    targets: Sequence[Target],
    *,
    to: str | None = None,
    deep: bool = False,
    bar: Bar = no_bar,
    settings: Settings | None = None,
) -> Iterator[Verified]:
    """Yield what is found of runs at their destinations. A platform that does not answer is asked once.

    Args:
        opened: The journal.
        targets: From `chosen_targets`.
        to: An address that a person named, to which the key may be sent.
        deep: Whether to download checkpoints.
        bar: Shows the downloads.
        settings: The keys; those of the environment by default.

    Raises:
        SettingsError: An address cannot be used.
    """
    known = settings or Settings.load()
    beside = Counter(run_id for run_id, _ in opened.left_beside())
    verifiers: dict[int, Verifier] = {}
    failed: dict[int, DeliveryError] = {}
    try:
        for target in targets:
            place = target.destination
            if place.id not in verifiers and place.id not in failed:
                try:
                    platform = _connected(place, known, to)
                    verifiers[place.id] = Verifier(opened, platform, known.default_project, deep, bar, beside)
                except DeliveryError as error:
                    failed[place.id] = error
            yield _verified(target, verifiers.get(place.id), failed)
    finally:
        for each in verifiers.values():
            each.platform.close()


def send_again(opened: Journal, one: Verified) -> int:
    """Have the next drain send again what is missing or different of a run; return how many items that is."""
    again = one.again
    if again is None or not again.items:
        return 0
    if again.is_whole:
        opened.resend(one.target.run.id, one.target.destination.id)
        return again.items
    try:
        opened.send_again(one.target, again.deliveries, again.stage)
    except StaleClaim:  # a drain is at work on the run, which is to be verified again once it has ended
        return 0
    return again.items


def _connected(place: Destination, settings: Settings, to: str | None) -> Platform:
    if to is not None and is_same_place(place.base_url, to):
        settings = named_too(settings, place.platform, to)
    try:
        return connect(place.platform, place.base_url, settings, connections=1)
    except (DeliveryError, SettingsError):
        raise
    except UploaderError as error:
        raise DeliveryError(str(error)) from None


def _verified(target: Target, verifier: Verifier | None, failed: dict[int, DeliveryError]) -> Verified:
    place = target.destination.id
    if verifier is None or place in failed:
        return Verified(target, failure=failed[place])
    verified = verifier.verify(target)
    if isinstance(verified.failure, (Unreachable, CredentialsRefused)) and not isinstance(
        verified.failure, ReadRefused
    ):
        failed[place] = verified.failure
    return verified
