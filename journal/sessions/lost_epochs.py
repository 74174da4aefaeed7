"""Which epochs a trainer's own record has and the journal lacks. Pure.

A process may die between a save and the end of its epoch, and a journal may be lost with its disk. The trainer's record
of its epochs is then the only one. It is matched with the journal's by the epochs' values, not by their numbers alone:
an epoch may have been trained again, and the record may turn out to be another training's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from journal.encoding import encode
from journal.ids import digest
from journal.kinds import EPOCH, VALIDATED
from journal.metrics import SOURCE, is_same
from journal.sessions.identity import SALVAGE, Session, derived


@dataclass(frozen=True)
class TrainedEpoch:
    """An epoch of a trainer's own record.

    Attributes:
        number: From 0, as in the journal.
        metrics: By name, as the epoch's event would hold them, with as many digits as the record has.
        source: Name of the file that it is from.
        seconds: How long its session had trained when it ended; None where the record does not tell.
        at: When it ended; None where nothing tells.
    """

    number: int
    metrics: Mapping[str, Any]
    source: str
    seconds: float | None = None
    at: datetime | None = None


@dataclass(frozen=True)
class TrainerRecord:
    """A trainer's own record of a run's epochs.

    Attributes:
        epochs: In its order; none where there is no such file, or it cannot be read.
        is_doubtful: Whether it may turn out to be another training's, whatever the journal has: one that nobody
            recorded may have begun in the folder since.
    """

    epochs: Sequence[TrainedEpoch] = ()
    is_doubtful: bool = False


@dataclass(frozen=True)
class RecordedEpoch:
    """An epoch in the journal.

    Attributes:
        number: From 0.
        metrics: By name.
        generation: Of its session.
    """

    number: int
    metrics: Mapping[str, Any]
    generation: int


@dataclass(frozen=True)
class LostEpoch:
    """An epoch that the journal lacks.

    Attributes:
        run_id: Uuid of the run.
        epoch: As the trainer recorded it.
        generation: Of the session that trained it, or a lower one where that cannot be told.
    """

    run_id: str
    epoch: TrainedEpoch
    generation: int

    @property
    def payload(self) -> dict[str, Any]:
        """The payload of its event: a live one's, without what only the process knew, and with where it is from."""
        return {"epoch": self.epoch.number, "metrics": dict(self.epoch.metrics), SOURCE: self.epoch.source}

    def salvaging(self) -> Session:
        """Return the session that records it, as its first event; two copies of a journal derive the same one.

        The training's own event of the epoch, which may come in later, from a fallback file or another copy of the
        journal, has a higher number or generation, and so takes its place.
        """
        name = derived(SALVAGE, self.run_id, EPOCH, self.epoch.number, digest(encode(self.payload)))
        return Session(self.run_id, name, self.generation, purpose=SALVAGE, is_stored=True)


def lost_epochs(
    run_id: str,
    trained: Sequence[TrainedEpoch],
    recorded: Sequence[RecordedEpoch],
    newest: int,
    *,
    must_agree: bool = False,
) -> list[LostEpoch]:
    """Return the epochs that the journal lacks.

    Of an epoch that was trained more than once the last row counts. Rows after the last one that the journal has were
    trained after it, even if the journal has epochs of those numbers. A record that shares epochs with the journal, and
    agrees on none of them, is another training's.

    Args:
        run_id: Uuid of the run.
        trained: In the order of the trainer's record.
        recorded: In the order of the run.
        newest: Generation of the session that wrote the end of that record.
        must_agree: Whether only rows after one that agrees are known to be the run's: events of the run may have been
            deleted after they had arrived, or another training may have begun in its folder since.
    """
    by_number = _by_number(trained, recorded)
    matches = [_match(epoch, by_number.get(epoch.number, ())) for epoch in trained]
    last = max((place for place, match in enumerate(matches) if match), default=-1)
    is_others = last < 0 and any(epoch.number in by_number for epoch in trained)
    if is_others or (must_agree and last < 0):
        return []
    final = {epoch.number: place for place, epoch in enumerate(trained)}
    generations = _generations(trained, matches, newest)
    return [
        LostEpoch(run_id, epoch, generations[place])
        for place, epoch in enumerate(trained)
        if matches[place] is None and final[epoch.number] == place
        if place > last or not (must_agree or epoch.number in by_number)
    ]


def _generations(
    trained: Sequence[TrainedEpoch], matches: Sequence[RecordedEpoch | None], newest: int
) -> Sequence[int]:
    """Return the lowest generation that each row may be of: where the numbers go back, a later session begins."""
    found: list[int] = []
    before, generation = -1, 1
    for epoch, match in zip(trained, matches, strict=True):
        generation += epoch.number <= before
        generation = max(generation, match.generation) if match else min(generation, newest)
        found.append(generation)
        before = epoch.number
    return found


def _by_number(
    trained: Sequence[TrainedEpoch], recorded: Sequence[RecordedEpoch]
) -> Mapping[int, Sequence[RecordedEpoch]]:
    """Return the journal's epochs by their numbers, without final evaluations.

    A final evaluation is recorded as an epoch without validation losses, and stands in no trainer's record.
    """
    tells_losses = any(_begins(epoch.metrics, VALIDATED) for epoch in trained)
    found: dict[int, list[RecordedEpoch]] = {}
    for epoch in recorded:
        if not tells_losses or _begins(epoch.metrics, VALIDATED):
            found.setdefault(epoch.number, []).append(epoch)
    return found


def _match(epoch: TrainedEpoch, recorded: Sequence[RecordedEpoch]) -> RecordedEpoch | None:
    return next((one for one in reversed(recorded) if is_same(epoch.metrics, one.metrics)), None)


def _begins(metrics: Mapping[str, Any], prefix: str) -> bool:
    return any(name.startswith(prefix) for name in metrics)
