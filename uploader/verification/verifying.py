"""Verifies runs: reads each back from where it goes, compares it with the journal, and keeps what was found there."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from journal.clock import utc_now
from journal.errors import JournalReadOnly, JournalUnwritable
from journal.kinds import REGISTRATION
from journal.outbox.verifications import WORDS, Finding, Found, Verification, Word
from journal.quantities import count
from journal.reading.run_at_destination import RunAtDestination, mark, run_at_destination
from journal.records import Target
from uploader.errors import DeliveryError, FileGone, ReadRefused, Refused
from uploader.platforms.base import Platform, RunIdentity
from uploader.platforms.planned_intents import planning_of
from uploader.platforms.plans import Planning
from uploader.platforms.reading_back import LISTED, Downloading, Listing, Place, Readable, Shown
from uploader.platforms.registry import spec_of
from uploader.verification.comparing import Checked, compare
from uploader.verification.expectation import expectation
from uploader.verification.mending import Mending, mending, with_lasting

if TYPE_CHECKING:
    from journal.folder import Journal

LOGGER = logging.getLogger("uploader")
Bar = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]
"""Shows work on so many bytes, under a name; what it returns is told of each further part."""


def no_bar(name: str, size: int) -> AbstractContextManager[Callable[[int], object]]:
    """Show nothing."""
    del name, size
    return nullcontext(lambda _: None)


@dataclass(frozen=True)
class Verified:
    """What was found of one run at one destination.

    Attributes:
        target: The run, and where it goes.
        checked: What is to be said of each item.
        is_deep: Whether its checkpoint was downloaded.
        is_pruned: Whether events of it were deleted here after they had arrived; only what is left was compared.
        failure: Why the platform could not be read back, else None. Without its checkpoint, the other items are there.
        again: What has to be sent again so that all is right.
    """

    target: Target
    checked: Sequence[Checked] = ()
    is_deep: bool = False
    is_pruned: bool = False
    failure: DeliveryError | None = None
    again: Mending | None = None

    @property
    def counts(self) -> Mapping[Word, int]:
        """How many items are how."""
        found: Counter[Word] = Counter(dict.fromkeys(WORDS, 0))
        for one in self.checked:
            found[one.word] += one.count
        return found

    @property
    def waits(self) -> int:
        """How many of those that are missing only wait to be sent, so that the next drain may put that right."""
        return sum(one.count for one in self.checked if one.waits)

    @property
    def findings(self) -> Sequence[Finding]:
        """What is not proven."""
        return [one.finding() for one in self.checked if one.word != "proven"]

    @property
    def is_right(self) -> bool:
        """Whether all that the platform shows is as the journal has it."""
        counts = self.counts
        return self.failure is None and not counts["different"] and not counts["missing"] and counts["proven"] > 0


@dataclass
class Verifier:
    """Verifies runs of one journal at one destination.

    Attributes:
        journal: The journal.
        platform: The client.
        default_project: For runs that named none.
        deep: Whether checkpoints are downloaded.
        bar: Shows downloads.
        beside: How many files of each run, by its id, the journal has not taken in yet.
        is_told_unnoted: Whether it was said that this user may not keep what is found.
    """

    journal: Journal
    platform: Platform
    default_project: str
    deep: bool = False
    bar: Bar = no_bar
    beside: Mapping[str, int] = field(default_factory=dict)
    is_told_unnoted: bool = False

    def verify(self, target: Target) -> Verified:
        """Read a run back, compare it, and keep what was found; an error of the platform's is part of that."""
        planning = planning_of(spec_of(target.destination.platform))
        if not isinstance(self.platform, Readable) or planning.items is None:
            why = f"what {target.destination.platform} has cannot be read back by this version"
            return Verified(target, failure=DeliveryError(why))
        before = self._read(target)
        try:
            shown = self._shown(self.platform, before)
        except DeliveryError as error:
            return Verified(target, failure=_advised(error, target))
        after = before if self._mark(target) == before.mark else self._read(target)
        compared = _checked(before, after, shown, planning)
        checked = [*self._left_beside(target), *with_lasting(before, compared, partial(self._last, target))]
        failure = None
        if self.deep and isinstance(self.platform, Downloading):
            try:
                checked = [self._downloaded(one, shown, self.platform) for one in checked]
            except DeliveryError as error:
                failure = _advised(error, target)
        again = mending(after, checked, planning)
        verified = Verified(target, checked, self.deep and not failure, before.is_pruned, failure, again)
        self._note(before, verified)
        return verified

    def _shown(self, platform: Readable, run: RunAtDestination) -> Shown:
        """Read a run back, and the lists of which it has any items.

        Raises:
            DeliveryError: It could not be read now.
        """
        identity = self._identity(run.target)
        shown = platform.read_back(identity)
        listed = [(event.kind, event.key) for event in run.events if event.kind in LISTED]
        return platform.read_lists(identity, shown, listed) if listed and isinstance(platform, Listing) else shown

    def _left_beside(self, target: Target) -> Iterator[Checked]:
        """Yield what is to be said of files that the run's training left beside the journal: nobody knows them yet."""
        if number := self.beside.get(target.run.id, 0):
            why = "its training left it beside the journal, which does not know it yet; the next drain takes it in"
            yield Checked(("event", f"in {count(number, 'file')}"), "missing", why, count=number, waits=True)

    def _read(self, target: Target) -> RunAtDestination:
        with self.journal.begin(read_only=True) as connection:
            return run_at_destination(connection, target, utc_now())

    def _mark(self, target: Target) -> tuple[object, ...]:
        with self.journal.begin(read_only=True) as connection:
            return mark(connection, target)

    def _last(self, target: Target) -> Verification | None:
        found = self.journal.verifications([target.run.id])
        return next((one for one in found if one.destination_id == target.destination.id), None)

    def _identity(self, target: Target) -> RunIdentity:
        run = target.run
        return RunIdentity(run.id, run.project or self.default_project, run.name, target.ids)

    def _downloaded(self, one: Checked, shown: Shown, platform: Downloading) -> Checked:
        """Compare a checkpoint's digest with that of what is downloaded; any other item stays as it was found.

        Raises:
            DeliveryError: It could not be downloaded now.
        """
        weights = shown.weights.get(one.place[1])
        if one.place[0] != "checkpoint" or one.word not in {"proven", "unreadable"} or weights is None or not one.sent:
            return one
        try:
            why = self._difference(platform, weights, int(one.sent["size"]), str(one.sent["sha256"]))
        except FileGone as error:
            return replace(one, word="missing", why=f"it cannot be downloaded: {error}")
        except Refused as error:
            return replace(one, word="unreadable", why=f"it cannot be downloaded: {error}")
        return replace(one, word="different", why=why) if why else replace(one, word="proven", why="")

    def _difference(self, platform: Downloading, weights: object, size: int, sha256: str) -> str | None:
        """Download a checkpoint, of which a block at a time is in memory, and return how it differs."""
        digest, length = hashlib.sha256(), 0
        with self.bar("download", size) as told:

            def take(block: bytes) -> None:
                nonlocal length
                digest.update(block)
                length += len(block)
                told(len(block))

            platform.download(weights, size, take)
        if length != size:
            return f"what is downloaded has {length} bytes, and {size} here"
        return None if digest.hexdigest() == sha256 else "what is downloaded has another sha256"

    def _note(self, run: RunAtDestination, verified: Verified) -> None:
        """Keep what was found, unless it is less than what is known of a run whose events have gone since."""
        target = verified.target
        if run.is_pruned and verified.is_right and self._is_proven(target):
            return
        counts: Mapping[Word, int] = {**verified.counts, "missing": verified.counts["missing"] - verified.waits}
        in_order = sorted((one for one in verified.checked if one.word != "proven"), key=_weight)
        found = Found(run.known, counts, [one.finding() for one in in_order], verified.is_deep)
        try:
            self.journal.note_verification(target.run.id, target.destination.id, found)
        except (JournalUnwritable, JournalReadOnly) as error:  # what was found is told all the same
            if not self.journal.is_shared:
                raise
            if not self.is_told_unnoted:
                LOGGER.warning("what is found is not kept: %s", error)
            self.is_told_unnoted = True

    def _is_proven(self, target: Target) -> bool:
        known = self.journal.verifications([target.run.id])
        return any(one.is_verified and one.destination_id == target.destination.id for one in known)


def _weight(one: Checked) -> int:
    """Return where a finding stands among others: what is wrong first, then what waits, then what cannot be seen."""
    return 2 if one.word == "unreadable" else int(one.waits)


def _advised(error: DeliveryError, target: Target) -> DeliveryError:
    """Return the error with the next step, where the key is refused: one that may only write reads nothing back."""
    if not isinstance(error, ReadRefused):
        return error
    variable = spec_of(target.destination.platform).key_variable
    return ReadRefused(error.answer, f"set {variable} to a key that this platform accepts and that may read")


def _checked(before: RunAtDestination, after: RunAtDestination, shown: Shown, planning: Planning) -> list[Checked]:
    """Compare with what the journal had before the platform was read, and had afterwards, if that is not the same.

    What a drain delivers meanwhile may be there already or not yet. So an item is right if it was so at either time.
    """
    first = _compared(before, shown, planning)
    if before is after:
        return first
    later = {one.place: one for one in _compared(after, shown, planning)}
    return [later[one.place] if _is_proven(later.get(one.place)) else one for one in first if _counts(one, later)]


def _is_proven(one: Checked | None) -> bool:
    return one is not None and one.word == "proven"


def _counts(one: Checked, later: Mapping[Place, Checked]) -> bool:
    """Return whether something still is to be said of an item; what was there first was recorded meanwhile."""
    return bool(one.events) or not _is_proven(later.get(one.place))


def _compared(run: RunAtDestination, shown: Shown, planning: Planning) -> list[Checked]:
    field_of_another = spec_of(run.target.destination.platform).model_field
    registrations = (event for event in run.events if event.kind == REGISTRATION)
    is_own = not any(field_of_another and f'"{field_of_another}"' in event.payload for event in registrations)
    return compare(run, expectation(run, planning), shown, is_own=is_own)
