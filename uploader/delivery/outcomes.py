"""The outcomes of attempts: gathered, and written to the journal in batches."""

from __future__ import annotations

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from journal.kinds import FINAL, REGISTRATION
from journal.outbox.claims import HeldElsewhere
from journal.outbox.outbox import Outbox
from journal.records import MODEL_ID, Claim, Outcome
from uploader.delivery.attempt import Finished
from uploader.delivery.next_plan import planning_for
from uploader.delivery.retry_policy import FIRST_WAIT, READ_WAIT, Random, outcome_of_failure
from uploader.delivery.sender import Sender
from uploader.delivery.summary import DestinationResult
from uploader.errors import Foreign, Transient
from uploader.platforms.base import Receipt
from uploader.platforms.registry import keeps_model_file
from uploader.run_folder.model_file import write_model_file

_LOG = logging.getLogger(__name__)


class Outcomes:
    """Outcomes of one drain.

    Attributes:
        delivered: Deliveries made, by destination id.
        made: The same by destination id and kind.
        bytes: What they held, by destination id.
        finished: Attempts that are over, for whoever takes them to add to: what each comes to is looked up, and
            written, by `write`.
        runs: Ids of the runs of which something was delivered, by destination id, in that order.
    """

    def __init__(
        self, outbox: Outbox, random: Random, first_wait: float = FIRST_WAIT, read_wait: float = READ_WAIT
    ) -> None:
        """Begin with nothing.

        Args:
            outbox: The journal's.
            random: For waits before the next attempt.
            first_wait: After a delivery's first failure, seconds.
            read_wait: Before the platform is asked again for what the key may not read, seconds.
        """
        self.delivered: Counter[int] = Counter()
        self.made: Counter[tuple[int, str]] = Counter()
        self.bytes: Counter[int] = Counter()
        self.runs: defaultdict[int, dict[str, None]] = defaultdict(dict)
        self._outbox = outbox
        self._random = random
        self._first_wait = first_wait
        self._read_wait = read_wait
        self.finished: list[Finished] = []
        self._unwritten: list[Outcome] = []

    def of(self, sender: Sender, due: str | None, held: tuple[HeldElsewhere, ...] = ()) -> DestinationResult:
        """Return what a sender came to.

        Args:
            sender: Of the drain.
            due: When it may be tried again, ISO; None where nothing is pending.
            held: What other drains have claimed.
        """
        there = sender.destination.id
        return DestinationResult(
            self.delivered[there],
            sender.refused,
            sender.error,
            sender.is_unreachable,
            due,
            tuple(self.runs[there]),
            {kind: number for (place, kind), number in self.made.items() if place == there},
            self.bytes[there],
            held,
        )

    def release(self, claims: Iterable[Claim]) -> None:
        """Add that these were not attempted."""
        self._unwritten += [Outcome(claim, "release") for claim in claims]

    def abandon(self, claims: Iterable[Claim]) -> None:
        """Add that these attempts were abandoned before their answers came: they may have arrived."""
        error = "the drain ended before the answer came"
        self._unwritten += [Outcome(claim, "retry", error=error) for claim in claims]

    @property
    def unwritten(self) -> list[Claim]:
        """The claims of what is over and not written yet."""
        return [*(one.claim for one in self.finished), *(one.claim for one in self._unwritten)]

    def judge(self) -> list[Outcome]:
        """Return what is to be written: what the attempts that are over came to, and those from before."""
        while self.finished:
            self._unwritten.append(self._outcome(self.finished[0]))
            del self.finished[0]
        return self._unwritten

    def write(self) -> list[Outcome]:
        """Write all outcomes in one transaction; return those that settled a delivery.

        What cannot be written stays for the next time.
        """
        if not self.judge():
            return []
        stale = self._outbox.settlement.record(self._unwritten, now=self._outbox.now())
        for outcome in stale:
            _LOG.warning("delivery %s was claimed by another drain meanwhile", outcome.claim.delivery_id)
        written = [outcome for outcome in self._unwritten if outcome not in stale] if stale else self._unwritten
        self._unwritten = []
        self._count([outcome.claim for outcome in written if outcome.result == "delivered"])
        for outcome in written:
            self._note_model(outcome)
        return [outcome for outcome in written if outcome.result not in {"retry", "release"}]

    def _note_model(self, outcome: Outcome) -> None:
        """Leave a registered run's model in the training's folder, for a platform whose models are known by that."""
        claim = outcome.claim
        if claim.kind == REGISTRATION and outcome.ids and keeps_model_file(self._platform(claim)):
            _leave_model(claim, outcome.ids.get(MODEL_ID) or claim.ids.get(MODEL_ID))

    def _count(self, delivered: Sequence[Claim]) -> None:
        self.delivered.update([claim.destination_id for claim in delivered])
        self.made.update([(claim.destination_id, claim.kind) for claim in delivered])
        for claim in delivered:
            self.bytes[claim.destination_id] += _size(claim) if claim.lane == "upload" else len(claim.body)
            self.runs[claim.destination_id][claim.run.id] = None

    def _outcome(self, finished: Finished) -> Outcome:
        claim, result = finished.claim, self._checked(finished)
        if isinstance(result, Receipt):
            return Outcome(claim, "delivered", receipt=result.answer, ids=result.ids, signals=tuple(result.signals))
        return outcome_of_failure(
            claim,
            result,
            now=self._outbox.now(),
            random=self._random,
            replaced=self._is_replaced(claim),
            first_wait=self._first_wait,
            read_wait=self._read_wait,
            alone=isinstance(result, Foreign) and self._outbox.settlement.is_kept_out(claim),
        )

    def _checked(self, finished: Finished) -> Receipt | Exception:
        """Return what an attempt came to; a new model that another run has already is none."""
        claim, result = finished.claim, finished.result
        if not (isinstance(result, Receipt) and result.is_new and result.ids):
            return result
        model_id = result.ids[MODEL_ID]
        waiting = (one for one in self._unwritten if one.claim.destination_id == claim.destination_id)
        name = next((one.claim.run.name for one in waiting if one.ids and one.ids.get(MODEL_ID) == model_id), None)
        if other := name or self._outbox.settlement.model_of_another(claim, model_id):
            return Transient(
                f"the platform answered the registration with the model of another run, {other}", status=200
            )
        return result

    def _is_replaced(self, claim: Claim) -> bool:
        if claim.lane != "upload" or claim.role == FINAL:
            return False
        return self._outbox.settlement.may_be_skipped(claim, planning_for(self._platform(claim)).roles)

    def _platform(self, claim: Claim) -> str:
        return next(one.platform for one in self._outbox.routes.destinations() if one.id == claim.destination_id)


def _size(upload: Claim) -> int:
    """Return the bytes of a file; 0 where its body, of an earlier version or another program, does not tell."""
    try:
        return int(json.loads(upload.body)["size"])
    except (ValueError, KeyError, TypeError):
        return 0


def _leave_model(claim: Claim, model_id: object) -> None:
    """Leave the model's id in the training's folder, so that upstream's own streaming goes on with it, too.

    Another platform's id does no harm there: upstream makes a new model of what is not found.
    """
    args = json.loads(claim.body).get("trainArgs")
    save_dir = args.get("save_dir") if isinstance(args, dict) else None
    for folder in {str(save_dir or claim.run.save_dir), claim.run.save_dir}:
        try:
            if isinstance(model_id, str):
                write_model_file(Path(folder), claim.run.id, model_id)
        except OSError as error:
            _LOG.debug("the model's id was not left in %s: %s", folder, error)
